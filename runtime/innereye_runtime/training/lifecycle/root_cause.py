"""Which rank of several failed first: the others then fail for want of it, and theirs is not why the run ended.

The rank that fails by itself ends the attempt in run.json. The first rank, whose record that is, takes it over from
there; where Lightning's launcher kills the first rank before it can, it stands there already.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress

from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.job.rank_end import Kind
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, state_of
from innereye_runtime.training.lifecycle.outcome import Outcome
from innereye_runtime.training.lifecycle.signals import StopRequested

_COMMUNICATION = re.compile(r"\bgloo\b|\bNCCL\b|ProcessGroup|TCPStore", re.IGNORECASE)
_PATIENCE_SECONDS = 3.0
"""A rank closes its connections before its error reaches `record_failure`. Lightning's launcher kills after 5 s."""


def kind_of(error: BaseException) -> Kind:
    """What `error` is to the launcher of the ranks."""
    if isinstance(error, StopRequested):
        return "stopped"
    return "lost" if _is_communication_error(error) else "failed"


def record_failure(paths: RunPaths, rank: int, error: BaseException, outcome: Outcome) -> None:
    """Ends the attempt in run.json for a rank other than the first, which failed by itself."""
    if isinstance(error, StopRequested) or _is_communication_error(error):
        return
    with suppress(UsageError, OSError):
        record = RunRecord.read(paths)
        if record.state == "running":
            reason = f"rank {rank}: {outcome.reason}"
            record.end_attempt(state_of(outcome.exit_code), outcome.exit_code, reason)
            record.write(paths)


def find_root_cause(paths: RunPaths, attempt: int, error: BaseException, outcome: Outcome) -> Outcome:
    """The end of the rank that failed first, where `error`, of the first rank, only follows from it; else `outcome`."""
    if isinstance(error, StopRequested):
        told = _told(paths, attempt) if error.exit_code == ExitCode.STOPPED else None
        # Who failed after the signal failed because of it.
        return told if told is not None and paths.run_json.stat().st_mtime < error.time else outcome
    if not _is_communication_error(error):
        return outcome
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (told := _told(paths, attempt)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return told or outcome


def _told(paths: RunPaths, attempt: int) -> Outcome | None:
    with suppress(UsageError):
        record = RunRecord.read(paths)
        if record.attempt.number == attempt and record.exit_code:
            return Outcome(exit_code=record.exit_code, reason=record.reason, hint="its own lines are further up")
    return None


def _is_communication_error(error: BaseException) -> bool:
    """True for what PyTorch raises when another rank doesn't answer any more."""
    return type(error).__name__.startswith("Dist") or _COMMUNICATION.search(str(error)) is not None
