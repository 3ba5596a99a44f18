"""Refuses what the store of a mounted output refuses: Python imports this module at the start of each process of a job.

It imports the standard library only: the job's image has nothing of the emulator.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

_FAILS_EVERY = 3
_SLOW_SECONDS = 0.1
_REFUSED = {
    "os.rename": "no-rename",
    "os.link": "no-rename",
    "os.symlink": "no-rename",
    "os.remove": "no-delete",
    "os.rmdir": "no-delete",
    "os.truncate": "no-append",
}


class Store:
    """What is refused below `folders`."""

    def __init__(self, folders: list[str], modes: set[str]) -> None:
        self._folders = tuple(f"{folder.rstrip('/')}/" for folder in folders)
        self._modes = modes
        self._opened = 0

    def check(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook.

        Raises:
            OSError: the store refuses the call, or fails.
        """
        if event != "open" and event not in _REFUSED:
            return
        paths = [os.fsdecode(each) for each in arguments[:2] if isinstance(each, str | bytes | os.PathLike)]
        if not any(str(Path(path).absolute()).startswith(self._folders) for path in paths):
            return
        if event in _REFUSED:
            if _REFUSED[event] in self._modes:
                raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), paths[0])
            return
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if "no-append" in self._modes and flags & (os.O_APPEND | os.O_RDWR):
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), paths[0])
        if "slow" in self._modes:
            time.sleep(_SLOW_SECONDS)
        self._opened += 1
        if "failing" in self._modes and self._opened % _FAILS_EVERY == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO), paths[0])


def install() -> None:
    """From now on this process meets the store that the emulator's variables describe, if they do."""
    modes = os.environ.get("AZUREML_EMULATOR_STORE")
    if modes:
        sys.addaudithook(Store(os.environ["AZUREML_EMULATOR_OUTPUTS"].split(":"), set(modes.split(","))).check)


install()
