"""Which rank of several failed first: the others then fail for want of it, and theirs is not why the run ended.

The rank that fails by itself ends the attempt in run.json. The first rank, whose record that is, takes it over from
there; where Lightning's launcher kills the first rank before it can, it stands there already.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress

from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.job.paths import RunPaths
from innereye_runtime.job.record import RunRecord, state_of
from innereye_runtime.training.outcome import Outcome
from innereye_runtime.training.signals import Stopped

_COMMUNICATION = re.compile(r"\bgloo\b|\bNCCL\b|ProcessGroup|TCPStore", re.IGNORECASE)
_PATIENCE_SECONDS = 3.0
"""A rank closes its connections before its error comes to `tell`. Lightning's launcher waits at most 5 s to kill."""


def tell(paths: RunPaths, rank: int, error: BaseException, outcome: Outcome) -> None:
    """Ends the attempt in run.json for a rank other than the first, which failed by itself."""
    if isinstance(error, Stopped) or _for_want_of_another(error):
        return
    with suppress(UsageError, OSError):
        record = RunRecord.read(paths)
        if record.state == "running":
            reason = f"rank {rank}: {outcome.reason}"
            record.end_attempt(state_of(outcome.exit_code), outcome.exit_code, reason)
            record.write(paths)


def cause(paths: RunPaths, attempt: int, error: BaseException, outcome: Outcome) -> Outcome:
    """The end of the rank that failed first, where `error`, of the first rank, only follows from it; else `outcome`."""
    if isinstance(error, Stopped):
        told = _told(paths, attempt) if error.exit_code == ExitCode.STOPPED else None
        # Who failed after the signal failed because of it.
        return told if told is not None and paths.run_json.stat().st_mtime < error.time else outcome
    if not _for_want_of_another(error):
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


def _for_want_of_another(error: BaseException) -> bool:
    """True for what PyTorch raises when another rank doesn't answer any more."""
    return type(error).__name__.startswith("Dist") or _COMMUNICATION.search(str(error)) is not None
