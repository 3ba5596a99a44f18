"""What of a download is on disk already, so that one that was killed goes on and does not begin again.

Written after the bytes: what it says is there, as long as the machine did not go down since. The kernel's boot id
tells that (no `fsync` for each of many files); after a boot, or on a system without one, the journal counts for
nothing.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import Self


def boot_id() -> str:
    """Another one after each boot; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


TOMBSTONE = b""
"""In the place of a digest: the block is not there any more."""


class Journal:
    """The digests of blocks by file name and block number; open for more."""

    def __init__(self, descriptor: int, done: Mapping[tuple[str, int], bytes]) -> None:
        self._descriptor = descriptor
        self.done = done

    @classmethod
    def open(cls, path: Path) -> Self:
        """The journal at `path`: with what this boot of the machine wrote, or a new one.

        Raises:
            OSError: it can't be read or written.
        """
        done = _read(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (0 if done else os.O_TRUNC)
        journal = cls(os.open(path, flags, 0o644), done)
        # The first ends a line that was torn.
        os.write(journal._descriptor, b"\n" if done else boot_id().encode() + b"\n")
        return journal

    def add(self, blocks: Iterable[tuple[str, int, bytes]]) -> None:
        """Adds the digests of blocks by file name and block number. Thread-safe: the kernel appends them at once.

        Raises:
            OSError: it can't be written.
        """
        lines = "".join(f"{block} {digest.hex()} {encode_basestring_ascii(name)}\n" for name, block, digest in blocks)
        if os.write(self._descriptor, lines.encode()) != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._descriptor)


def _read(path: Path) -> dict[tuple[str, int], bytes]:
    done: dict[tuple[str, int], bytes] = {}
    try:
        header, *lines = path.read_text(encoding="ascii").split("\n")
    except (FileNotFoundError, ValueError):
        return {}
    if not header or header != boot_id():
        return {}
    for line in lines:
        try:
            block, digest, name = line.split(" ", 2)
            done[json.loads(name), int(block)] = bytes.fromhex(digest)
        except ValueError:  # torn by a kill
            continue
    return {key: digest for key, digest in done.items() if digest != TOMBSTONE}
