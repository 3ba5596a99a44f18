"""How a run ended, in plain words: one table from exceptions to exit codes and reasons."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from innereye_runtime.compat.error_hints import hint_for
from innereye_runtime.errors import ExitCode, InnerEyeError
from innereye_runtime.training.imports import import_remedy
from innereye_runtime.training.lifecycle.remedies import remedy
from innereye_runtime.training.lifecycle.signals import StopRequested
from innereye_runtime.training.lifecycle.tracebacks import worker_error

OUT_OF_MEMORY = 137
SHARED_MEMORY = 135

_LIMITS = {
    OUT_OF_MEMORY: ("out of memory", "use a smaller batch or fewer workers, or raise compute.docker.memory"),
    SHARED_MEMORY: (
        "out of shared memory: a data loader worker could not hand over its batch",
        "raise compute.shm_size, or use fewer workers",
    ),
}
"""The reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    exit_code: int
    reason: str
    hint: str = ""
    show_traceback: bool = False
    """True where the user's own code is at fault, or ours."""


def outcome_of(error: BaseException) -> Outcome:
    """The exit code and the reason for an exception that ended a run."""
    match error:
        case InnerEyeError():
            return Outcome(exit_code=error.exit_code, reason=str(error), hint=error.hint)
        case StopRequested():
            return Outcome(exit_code=error.exit_code, reason=error.reason)
        case KeyboardInterrupt():
            return Outcome(exit_code=ExitCode.INTERRUPTED, reason="interrupted by the user's code")
        case SystemExit(code=None | 0):
            return Outcome(exit_code=ExitCode.USER_CODE, reason="the user's code exited before the run was complete")
        case SystemExit():
            code = error.code if isinstance(error.code, int) else ExitCode.USER_CODE
            return Outcome(
                exit_code=code,
                reason=f"the user's code exited with {error.code}",
                hint="see its output above, which is also in logs/console.log",
            )
        case MemoryError():
            return _limit(OUT_OF_MEMORY)
        case OSError(errno=errno.ENOSPC) | OSError(errno=errno.EDQUOT):
            place = f" while writing {error.filename}" if error.filename else ""
            return Outcome(
                exit_code=ExitCode.PREFLIGHT,
                reason=f"disk full{place}",
                hint="free some space and start again, or set outputs.folder to a larger disk",
            )
    worker = _worker_killed(error)
    if worker is not None:
        return _limit(worker)
    if type(error).__name__ == "OutOfMemoryError":
        return Outcome(
            exit_code=ExitCode.USER_CODE,
            reason="out of GPU memory",
            hint="use a smaller batch, or use_mixed_precision",
            show_traceback=True,
        )
    summary = str(error).strip().split("\n")[0]
    reason = f"{type(error).__name__}: {summary}" if summary else type(error).__name__
    if (in_worker := worker_error(error)) is not None:
        reason = f"{in_worker.summary} (in data loader worker {in_worker.number})".replace("\n", " ")
    hint = hint_for(error) or (import_remedy(error) if isinstance(error, ImportError) else remedy(error))
    return Outcome(exit_code=ExitCode.USER_CODE, reason=reason, hint=hint, show_traceback=True)


def _limit(exit_code: int) -> Outcome:
    reason, hint = _LIMITS[exit_code]
    return Outcome(exit_code=exit_code, reason=reason, hint=hint, show_traceback=True)


def _worker_killed(error: BaseException) -> int | None:
    """The exit code for PyTorch's message that a data loader worker died from a signal, else None."""
    current: BaseException | None = error
    while current is not None:
        text = str(current)
        if re.search(
            r"Bus error|insufficient shared memory|out of shared memory|unable to allocate shared memory", text
        ):
            return SHARED_MEMORY
        if re.search(r"DataLoader worker .*killed by signal: Killed", text):
            return OUT_OF_MEMORY
        current = current.__cause__ or current.__context__
    return None
