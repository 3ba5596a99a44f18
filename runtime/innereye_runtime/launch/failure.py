"""Why a rank died, by what it told and how its process ended, and where that stands for the whole job."""

from __future__ import annotations

import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.job.rank_end import RankEnd
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, record_exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    rank: int
    exit_code: int
    reason: str
    abrupt: bool = False
    """It left without a word: killed, or by `os._exit`."""
    lost: bool = False
    """It missed another rank, so that the cause is elsewhere."""

    @property
    def order(self) -> tuple[bool, bool]:
        """What others may follow from comes first."""
        return (self.lost, not self.abrupt)

    def record(self, paths: RunPaths, *, earlier: int, over: bool = False) -> None:
        """Makes this the end of the attempt in run.json where none is there, with `over` in place of another one."""
        if self.lost:
            return
        ended = recorded_end(paths, earlier=earlier)
        if ended is None or (over and ended.reason != self.reason):
            with suppress(OSError, UsageError):  # another node writes at the same moment; it is tried again
                record_exit(paths, self.exit_code, self.reason, earlier=earlier)


def failure_of(rank: int, returncode: int | None, ends: Path) -> Failure | None:
    """The failure of a rank whose process ended with `returncode` (None: not yet), or None where there is none."""
    end = RankEnd.read(ends, rank)
    if end is not None:
        if end.kind in ("done", "stopped"):
            return None
        reason = end.reason if rank == 0 else f"rank {rank}: {end.reason}"
        return Failure(rank=rank, exit_code=end.exit_code, reason=reason, lost=end.kind == "lost")
    if returncode is None:
        return None
    if returncode >= 0:
        exit_code = returncode or ExitCode.USER_CODE
        reason = f"exited with {returncode} before the run was complete, and raised no error"
    else:
        exit_code, reason = 128 - returncode, _killed(-returncode)
    return Failure(rank=rank, exit_code=exit_code, reason=f"rank {rank}: {reason}", abrupt=True)


def recorded_end(paths: RunPaths, *, earlier: int) -> Failure | None:
    """How the attempt after the first `earlier` failed, as run.json has it; None where it has not, or not yet."""
    try:
        record = RunRecord.read(paths)
    except (UsageError, OSError):
        return None
    if len(record.attempts) <= earlier or not record.exit_code:
        return None
    return Failure(rank=0, exit_code=record.exit_code, reason=record.reason, lost=True)


def is_running(paths: RunPaths) -> bool:
    """Whether the newest attempt has begun and not ended, as run.json has it."""
    try:
        return RunRecord.read(paths).state == "running"
    except (UsageError, OSError):
        return False


def _killed(signum: int) -> str:
    try:
        name = signal.Signals(signum).name
    except ValueError:
        name = f"signal {signum}"
    match signum:
        case signal.SIGKILL:
            return f"killed ({name}): most likely out of memory; use a smaller batch or fewer workers"
        case signal.SIGBUS:
            return f"crashed ({name}): most likely out of shared memory; raise compute.shm_size, or use fewer workers"
        case signal.SIGTERM | signal.SIGINT:
            return f"stopped ({name}) before it could save anything"
    return f"crashed ({name})"
