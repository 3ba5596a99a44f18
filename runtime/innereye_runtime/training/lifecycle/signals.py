"""SIGINT and SIGTERM as one exception, so that every step of a run ends through its own clean-up."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from innereye_runtime.errors import ExitCode


class StopRequested(BaseException):
    """This process was asked to end. A BaseException, so that user code which catches Exception doesn't swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.time = time.time()
        self.exit_code = ExitCode.INTERRUPTED if signum == signal.SIGINT else ExitCode.STOPPED

    @property
    def reason(self) -> str:
        if self.exit_code == ExitCode.INTERRUPTED:
            return "interrupted (SIGINT); innereye-run resume continues from the last checkpoint"
        return "stopped or preempted (SIGTERM); innereye-run resume continues from the last checkpoint"


class _DeferredSignal:
    """Whether a stop has to wait, and the one that waits."""

    active = False
    stop: StopRequested | None = None


_hold = _DeferredSignal()


@contextmanager
def defer_signals() -> Iterator[None]:
    """While it is open, a stop waits; it is raised at the end, in place of whatever else was."""
    _hold.active = True
    try:
        yield
    finally:
        _hold.active = False
        if _hold.stop is not None:
            stop, _hold.stop = _hold.stop, None
            raise stop


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """While it is open, the first SIGINT or SIGTERM raises `StopRequested` in the main thread, at the end of an open
    `defer_signals`; further ones are ignored.

    The exception may come up between any two instructions. That is safe here because all that a restart relies on is
    written to a temporary name and renamed. Lightning's own SIGTERM handler calls the one that it finds, so it doesn't
    get in the way.
    """
    stopping = False

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal stopping
        if stopping:
            return
        stopping = True
        if not _hold.active:
            raise StopRequested(signum)
        _hold.stop = StopRequested(signum)

    previous = {signum: signal.signal(signum, stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
