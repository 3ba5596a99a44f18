"""Locks between processes, by file. The kernel lets go of them however a process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Self


class Lock:
    """A lock that this process holds, alone or with others, until `release`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def exclusive(cls, path: Path, *, waiting: Callable[[], None] | None = None) -> Self | None:
        """The lock, held by this process alone. Blocks while others hold it, after calling `waiting`; without one,
        None.

        Raises:
            OSError: the lock file can't be made.
        """
        return cls._take(path, fcntl.LOCK_EX, waiting)

    @classmethod
    def shared(cls, path: Path, *, waiting: Callable[[], None]) -> Self:
        """The lock, held together with others. Blocks while one holds it alone, after calling `waiting`.

        Raises:
            OSError: the lock file can't be made.
        """
        lock = cls._take(path, fcntl.LOCK_SH, waiting)
        assert lock is not None
        return lock

    @classmethod
    def _take(cls, path: Path, kind: int, waiting: Callable[[], None] | None) -> Self | None:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                try:
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                except BlockingIOError:
                    if waiting is None:
                        os.close(descriptor)
                        return None
                    waiting()
                    fcntl.flock(descriptor, kind)
            except BaseException:
                os.close(descriptor)
                raise
            if _names(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)  # its holder deleted the file meanwhile: this is a lock on nothing

    def downgrade(self) -> None:
        """Lets others hold it too. For a moment nobody may hold it: look again at what it guards."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def transfer(self) -> Self:
        """The lock in a new object; this one has nothing to release any more."""
        kept = type(self)(self._path, self._descriptor)
        self._descriptor = -1
        return kept

    def remove(self) -> None:
        """Deletes the lock file and lets go."""
        self._path.unlink(missing_ok=True)
        self.release()

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _names(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
