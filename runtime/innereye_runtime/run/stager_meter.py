"""How far a copy of files to an output has come, in words, said from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

_REPORT_SECONDS = 5.0


class Meter:
    """`str` of it is how far it is. Several threads advance it: a number that one of them misses is of no matter."""

    def __init__(self, report: Callable[[str], None] = lambda text: None) -> None:
        self._report = report
        self._began = self._reported = time.monotonic()
        self._wanted = self._total = self._done = 0
        self.files = 0
        """Complete ones."""

    def begin(self, paths: Iterable[Path]) -> None:
        """These are to be copied too."""
        for path in paths:
            self._wanted += 1
            with suppress(OSError):
                self._total += path.stat().st_size

    def advance(self, size: int) -> None:
        """So many bytes more are copied."""
        self._done += size
        if time.monotonic() - self._reported > _REPORT_SECONDS:
            self._reported = time.monotonic()
            self._report(str(self))

    def __str__(self) -> str:
        size = f"{self._done / 1e6:,.1f} of {self._total / 1e6:,.1f} MB"
        seconds = time.monotonic() - self._began
        return f"{self.files} of {self._wanted} files, {size}, are in the output after {seconds:.0f} s"
