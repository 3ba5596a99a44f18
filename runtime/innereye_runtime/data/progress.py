"""How far something long has come. `LogProgress` is for logs; the command line has a bar of its own."""

from __future__ import annotations

import logging
import time
from typing import Protocol

log = logging.getLogger("innereye_runtime")


class Progress(Protocol):
    """Told from one thread at a time."""

    def begin(self, what: str, files: int, size: int) -> None:
        """Something with so many files and bytes begins; what came before it has ended."""

    def advance(self, files: int, size: int) -> None:
        """So many more files and bytes are done."""


class NullProgress:
    def begin(self, what: str, files: int, size: int) -> None:
        """Says nothing."""

    def advance(self, files: int, size: int) -> None:
        """Says nothing."""


class LogProgress:
    """A line in the log after 5 seconds and then every 30, so that what is quick says nothing."""

    FIRST, EVERY = 5.0, 30.0

    def __init__(self) -> None:
        self._what, self._files, self._size = "", 0, 0

    def begin(self, what: str, files: int, size: int) -> None:
        self._what, self._files, self._size = what, files, size
        self._done_files = self._done_size = 0
        self._started = time.monotonic()
        self._next = self._started + self.FIRST

    def advance(self, files: int, size: int) -> None:
        self._done_files += files
        self._done_size += size
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self.EVERY
        rate = self._done_size / 1e6 / (now - self._started)
        log.info(
            "%s: %s of %s files, %s of %s, %.0f MB/s",
            self._what,
            f"{self._done_files:,}",
            f"{self._files:,}",
            format_size(self._done_size),
            format_size(self._size),
            rate,
        )


def format_size(size: int) -> str:
    """A number of bytes as people write it: `65.5 MB` (powers of 1000)."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.3g} {unit}"
