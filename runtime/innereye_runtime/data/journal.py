"""What of a download is on disk already, so that one that was killed goes on and does not begin again.

Written after the bytes: what it says is there, as long as the machine did not go down since. The kernel's boot id
tells that (no `fsync` for each of many files); after a boot, or on a system without one, the journal counts for
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Self, TextIO


def boot_id() -> str:
    """Another one after each boot; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Journal:
    """The digests of blocks by file name and block number; open for more."""

    def __init__(self, file: TextIO, done: Mapping[tuple[str, int], bytes]) -> None:
        self._file = file
        self._lock = Lock()
        self.done = done

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal at `path`: with what this boot of the machine wrote, or a new one.

        Raises:
            OSError: it can't be read or written.
        """
        boot, done = boot_id(), _read(path)
        file = path.open("a" if done else "w", encoding="ascii")
        file.write("\n" if done else json.dumps(boot) + "\n")  # the first ends a line that was torn
        return cls(file, done)

    def add(self, name: str, block: int, digest: bytes) -> None:
        """Thread-safe."""
        line = json.dumps([name, block, digest.hex()]) + "\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def _read(path: Path) -> dict[tuple[str, int], bytes]:
    done: dict[tuple[str, int], bytes] = {}
    try:
        header, *lines = path.read_text(encoding="ascii").split("\n")
        if not boot_id() or header != json.dumps(boot_id()):
            return {}
    except (FileNotFoundError, ValueError):
        return {}
    for line in lines:
        try:
            name, block, digest = json.loads(line)
            done[name, block] = bytes.fromhex(digest)
        except (ValueError, TypeError):  # torn by a kill
            continue
    return done
