"""SIGINT, SIGTERM and SIGHUP as one request to stop, which every step of a run looks at and ends through its own
clean-up.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import _GeneratorContextManager, contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from innereye_runtime.errors import ExitCode

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_POLL_SECONDS = 2.0
"""Where batches have looked within this time, the next one is waited for as long, or for as long as batches take."""
_LONGEST_SECONDS = 15.0
"""A batch that takes longer is not waited for: a launcher kills after 30 seconds."""
_SWALLOWED_SECONDS = 0.2


class StopRequested(BaseException):
    """This process was asked to end. A BaseException, so that user code which catches Exception doesn't swallow it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum
        self.time = time.time()
        self.exit_code = ExitCode.INTERRUPTED if signum == signal.SIGINT else ExitCode.STOPPED
        self.progress = ""
        """How far training was, as ` in epoch 49 of 200`; empty outside of it."""

    @property
    def reason(self) -> str:
        kind = "interrupted" if self.exit_code == ExitCode.INTERRUPTED else "stopped or preempted"
        return f"{kind} ({self}){self.progress}"


class StopFlag:
    """Whether this process was asked to stop, and what is done about it."""

    def __init__(self) -> None:
        self.requested: StopRequested | None = None
        self.deferred = False
        self._raised = False
        self._polled = float("-inf")
        self._patience = _POLL_SECONDS
        self._open = True
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None

    def check(self) -> None:
        """Raises `StopRequested` where a stop was requested and need not wait. Batches and stages call it."""
        self.looked()
        self.end_deferral()

    def looked(self) -> None:
        now = time.monotonic()
        if self._polled > float("-inf"):
            # A batch that takes as long as the ones before it is waited for: the middle of an epoch is saved after it.
            # There are several looks to a batch, and one long time between two of them.
            wanted = max(2.5 * (now - self._polled), 0.9 * self._patience)
            self._patience = min(max(_POLL_SECONDS, wanted), _LONGEST_SECONDS)
        self._polled = now

    def put_off(self) -> None:
        """Lets a stop that came while it was deferred wait for who looks next."""
        self.looked()
        if self.requested is not None and not self._raised:
            self._try_again(self._patience)

    def end_deferral(self) -> None:
        """As `check`, where it doesn't follow that the next one looks soon."""
        if self.requested is not None and not self.deferred:
            self._raise()

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """The signal handler. Later signals than the first are ignored: the launcher kills at the second one."""
        if os.getpid() != self._owner:  # a loader worker, forked with this handler: its parent ends it
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
            return
        if self.requested is None:
            self.requested = StopRequested(signum)
        if self.deferred or self._raised:
            return
        waited = time.monotonic() - self._polled
        if waited < self._patience:
            self._try_again(self._patience - waited)
        else:
            self._raise()

    def on_unraisable(self, unraisable: UnraisableHookArgs) -> bool:
        """True where it was this stop that Python swallowed (in a __del__ or a fork hook): it is raised again."""
        if unraisable.exc_value is not self.requested or self.requested is None:
            return False
        self._raised = False
        self._try_again(_SWALLOWED_SECONDS)
        return True

    def close(self) -> None:
        with self._lock:
            self._open = False
            if self._timer is not None:
                self._timer.cancel()

    def _raise(self) -> None:
        if self.requested is not None:
            self._raised = True
            raise self.requested

    def _try_again(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(seconds, self._interrupt)
        self._timer.daemon = True
        self._timer.start()

    def _interrupt(self) -> None:
        """Sends the signal to the main thread once more, which also ends a system call that it waits in."""
        with self._lock:
            if self._open and not self._raised:
                signum = signal.SIGINT if _exit_code(self.requested) == ExitCode.INTERRUPTED else signal.SIGTERM
                signal.pthread_kill(_main_thread(), signum)


def _exit_code(stop: StopRequested | None) -> int:
    return stop.exit_code if stop is not None else ExitCode.STOPPED


def _main_thread() -> int:
    return threading.main_thread().ident or threading.get_ident()


_flags: list[StopFlag] = []
"""Those of the open `stop_on_signals`, the innermost last."""


def check_stop() -> None:
    """Raises `StopRequested` where this process was asked to stop."""
    if _flags:
        _flags[-1].check()


def stop_requested() -> bool:
    """Whether this process was asked to stop; it looked, too, so that the stop waits for who looks next."""
    if _flags:
        _flags[-1].looked()
    return bool(_flags) and _flags[-1].requested is not None


def defer_signals() -> _GeneratorContextManager[None]:
    """While it is open, a stop waits; it is raised at the end, in place of whatever else was. Inside of another one, it
    is at the end of that. A decorator too.
    """
    return _deferral(StopFlag.end_deferral)


def requested_signal() -> int:
    """The signal by which this process was asked to stop; 0: it was not. It looked, too."""
    stop = _flags[-1].requested if stop_requested() else None
    return 0 if stop is None else stop.signum


def stop_by(signum: int) -> None:
    """Raises `StopRequested`, for a signal that another process of the job may have got alone."""
    if _flags:
        _flags[-1].requested = _flags[-1].requested or StopRequested(signum)
    check_stop()


def put_off_stop() -> _GeneratorContextManager[None]:
    """While it is open, a stop waits, and at its end for who looks next: several processes do between them what they
    have agreed on."""
    return _deferral(StopFlag.put_off)


@contextmanager
def _deferral(at_end: Callable[[StopFlag], None]) -> Iterator[None]:
    if not _flags or _flags[-1].deferred:
        yield
        return
    flag = _flags[-1]
    flag.deferred = True
    try:
        yield
    finally:
        flag.deferred = False
        at_end(flag)


@contextmanager
def stop_on_signals() -> Iterator[StopFlag]:
    """While it is open, the first SIGINT, SIGTERM or SIGHUP requests a stop; further ones are ignored.

    `StopRequested` is raised where `check_stop` looks next, or at the end of an open `defer_signals`. Where nothing has
    looked for `_POLL_SECONDS`, it is raised in the main thread, between any two instructions. That is safe because all
    that a restart relies on is written to a temporary name and renamed. Python swallows an exception that comes up in a
    __del__ or a fork hook; it is raised again then. A signal that the caller ignores (nohup) stays ignored.
    Lightning's own SIGTERM handler calls the one that it finds, so it doesn't get in the way.
    """
    flag = StopFlag()
    chained = sys.unraisablehook

    def unraisable(arguments: UnraisableHookArgs) -> None:
        if not flag.on_unraisable(arguments):
            chained(arguments)

    heard = [signum for signum in SIGNALS if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN]
    _flags.append(flag)
    sys.unraisablehook = unraisable
    previous = {signum: signal.signal(signum, flag.on_signal) for signum in heard}
    try:
        yield flag
    finally:
        flag.close()
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        sys.unraisablehook = chained
        _flags.remove(flag)
