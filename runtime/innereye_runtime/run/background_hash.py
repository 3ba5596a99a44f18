"""SHA-256 of the large files of a run folder, found while the run evaluates and reports: its end needn't wait for them.

A file that was written to afterwards has another inode, size or time, and is hashed again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from innereye_runtime.data.fingerprint.hashing import BLOCK, file_sha256


class BackgroundHasher:
    """Hashes those of `paths` that are large, in a thread of its own, from now on."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._wanted = False
        self._found: dict[tuple[int, ...], tuple[int, str]] = {}
        self._thread = threading.Thread(target=self._hash, args=(list(paths),), daemon=True, name="hashed-ahead")
        self._thread.start()

    def sha256(self, path: Path) -> tuple[int, str]:
        """Size and plain sha256 of a file, as `file_sha256` gives them. The thread ends with the file that it is at.

        Raises:
            OSError: it can't be read.
        """
        self._wanted = True
        self._thread.join()
        return self._found.get(_identity(path)) or file_sha256(path)

    def _hash(self, paths: list[Path]) -> None:
        for path in paths:
            if self._wanted:
                return
            with suppress(OSError):  # met again at the end, by whoever tells it
                before = _identity(path)
                if before not in self._found and path.stat().st_size >= BLOCK:
                    found = file_sha256(path)
                    if _identity(path) == before:
                        self._found[before] = found


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
