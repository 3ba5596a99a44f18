"""The file that a launcher hands over, and what is left of it when the launcher is killed at the wrong moment."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.run.process_id import current_process, of_this_boot
from innereye_runtime.targets.docker.request import HostUser

_PREFIX = "innereye-runtime-"


@contextmanager
def launch_context_file(launch: LaunchContext, caller: HostUser) -> Iterator[Path]:
    """A file with `launch` for the container's user alone, in a folder that bears the name of this process."""
    pid, _, rest = current_process().partition("-")
    prefix = f"{_PREFIX}{pid}-{rest.partition('-')[0]}-"
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=_place()))
    file = folder / "launch.json"
    try:
        launch.write(file)
        if os.geteuid() != caller.uid:
            os.chown(file, caller.uid, caller.gid)
        yield file
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cleanup_stale() -> None:
    """Removes the folders of this user's launchers that are gone: one that was killed before its container was made."""
    for folder in _place().glob(f"{_PREFIX}*"):
        named = re.fullmatch(rf"{_PREFIX}(\d+)-(\d*)-\w+", folder.name)
        if named is not None and not of_this_boot(named[1], named[2]):
            shutil.rmtree(folder, ignore_errors=True)


def _place() -> Path:
    """In memory, where this machine has a file system for that."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
