"""A run folder of this machine that one process at a time downloads."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """While it is open, this process is the only one of this machine that downloads `folder`. It is there for that;
    one that was not and stays empty goes again.
    """
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # a file system that has no such locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # not empty
                folder.rmdir()
        os.close(descriptor)
