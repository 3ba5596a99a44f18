"""Who works in a run folder: one process at a time, and the launcher that started it.

The running side holds a lock of the kernel's, which ends with it however it ends. Its launcher, which is there before
it and may start it again, stands in the same file by its identity, and loses the folder when it is gone.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process, is_alive
from innereye_runtime.run.record import utc_now

LAUNCHER: Final = "INNEREYE_LAUNCHER"
"""The variable of a child that names the process which started it, as `process_id` does."""
_SECONDS: Final = 1.0
"""How long a taken lock is tried: one who only looks at it holds it for a moment."""
_UNSUPPORTED: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Of file systems without locks: there the identity of the process must do."""
_JOBS: Final = ("SLURM_JOB_ID", "AZUREML_RUN_ID", "PBS_JOBID", "LSB_JOBID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process that has a run folder for itself."""

    process: str
    """As `process_id` names it: its number first."""
    host: str
    started: str
    """UTC."""
    job: str
    """Of the scheduler; '' where there is none."""

    @classmethod
    def this_process(cls) -> Holder:
        job = next((os.environ[name] for name in _JOBS if os.environ.get(name)), "")
        return cls(process=current_process(), host=socket.gethostname(), started=utc_now(), job=job)

    def is_other_and_alive(self) -> bool:
        """Whether it is another process than this one, and known to be there: only this machine's are known."""
        here = self.host == socket.gethostname()
        return here and self.process != current_process() and is_alive(self.process)

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.process.partition('-')[0]} on {self.host} since {self.started}{job}"


def holder_of(paths: RunPaths) -> Holder | None:
    """The process at work in the folder, else the launcher that is about to start one; None where nobody is."""
    path = paths.lock
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        entries = _read(descriptor)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return entries[0] if entries else Holder(process="?", host="?", started="?", job="")
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
        return _alive(entries)
    finally:
        os.close(descriptor)


def ensure_free(paths: RunPaths) -> None:
    """Nothing for a folder that a process may begin to work in.

    Raises:
        UsageError: another process is at work there, or about to be.
    """
    holder = holder_of(paths)
    if holder is not None:
        raise _taken(paths, holder)


def announce(paths: RunPaths) -> None:
    """Gives the folder to this launcher, until `withdraw` or its end.

    Raises:
        UsageError: another process is at work there, or about to be.
    """
    with _locked(paths) as descriptor:
        _write(descriptor, [Holder.this_process()])


def withdraw(paths: RunPaths) -> None:
    """Undoes `announce`, when the running side has ended."""
    try:
        with _locked(paths):
            paths.lock.unlink(missing_ok=True)
    except (UsageError, OSError):
        return  # another one has it by now


@contextmanager
def held(paths: RunPaths, *, launcher: str | None) -> Iterator[None]:
    """The folder is this process's own inside of the block. `launcher`: the process that started this one.

    Raises:
        UsageError: another process is at work there, or about to be.
    """
    with _locked(paths, launcher=launcher) as descriptor:
        here = socket.gethostname()
        # That of a container stands there under the name of its own host.
        starters = [one for one in _read(descriptor)[-1:] if one.process == launcher or one.host != here]
        _write(descriptor, [Holder.this_process(), *starters])
        try:
            yield
        finally:
            if starters:
                _write(descriptor, starters)
            else:
                paths.lock.unlink(missing_ok=True)


@contextmanager
def _locked(paths: RunPaths, *, launcher: str | None = None) -> Iterator[int]:
    deadline = time.monotonic() + _SECONDS
    while True:
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if not _take(descriptor):
                if time.monotonic() > deadline:
                    entries = _read(descriptor)
                    raise _taken(paths, entries[0] if entries else None)
            elif _is_named(paths.lock, descriptor):
                other = _alive([entry for entry in _read(descriptor) if entry.process != launcher])
                if other is not None:
                    raise _taken(paths, other)
                yield descriptor
                return
        finally:
            os.close(descriptor)
        time.sleep(0.05)


def _take(descriptor: int) -> bool:
    try:
        # Not flock: the workers of a data loader would hold that too, and outlive a process that is killed.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _taken(paths: RunPaths, holder: Holder | None) -> UsageError:
    return UsageError(
        f"{holder or 'another process'} is running in {paths.root}",
        hint=f"innereye-run logs -f {paths.root} shows it, innereye-run stop {paths.root} ends it",
    )


def _alive(entries: list[Holder]) -> Holder | None:
    return next((entry for entry in entries if entry.is_other_and_alive()), None)


def _is_named(path: Path, descriptor: int) -> bool:
    """False for a lock on a file that its last holder removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> list[Holder]:
    """The one who holds the lock first, its launcher last; none where somebody damaged the file."""
    try:
        return [Holder(**entry) for entry in json.loads(os.pread(descriptor, 1 << 16, 0))]
    except (ValueError, TypeError):
        return []


def _write(descriptor: int, entries: list[Holder]) -> None:
    content = json.dumps([asdict(entry) for entry in entries]).encode()
    os.pwrite(descriptor, content, 0)
    os.ftruncate(descriptor, len(content))
