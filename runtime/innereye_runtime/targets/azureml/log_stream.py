"""Following a job: its states and its log as they come, until it is over or the user has seen enough."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from innereye_runtime.targets.azureml.error_mapping import UnreachableError
from innereye_runtime.targets.azureml.logs import Log
from innereye_runtime.targets.azureml.session import TERMINAL_STATES, Session, state_of
from innereye_runtime.targets.supervision import DetachedError, write_all

SHORTEST_PAUSE, LONGEST_PAUSE, LONGEST_WAIT = 1.0, 10.0, 60.0
PATIENCE_SECONDS = 600
"""How long a service that does not answer is asked again, before following ends."""


def follow(session: Session, job: str, log: Log, *, write: Callable[[bytes], None], tell: Callable[[str], None]) -> str:
    """The state that the job ended in. What is new in its `log` goes to `write`; `tell` gets a line for each state
    before it runs.

    Raises:
        DetachedError: SIGINT or SIGTERM came.
        UnreachableError: the service has not answered for `PATIENCE_SECONDS`.
    """
    began = time.monotonic()
    answered = began
    status = ""
    with _interruptible() as interrupted:
        while True:
            try:
                before, status = status, state_of(session.job(job))
                if status != before and status not in TERMINAL_STATES and status not in ("Running", "Finalizing"):
                    tell(f"{job}: {status}")
                # The log is read after the state: of a job that is over, this reads the whole of it.
                for piece in log.read():
                    write(piece)
                answered = time.monotonic()
            except UnreachableError:
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            if status in TERMINAL_STATES:
                return status
            pause = min(LONGEST_PAUSE, SHORTEST_PAUSE + (time.monotonic() - began) / 60)
            if interrupted.wait(pause):
                raise DetachedError(interrupted.signum)


def await_end(session: Session, job: str) -> str:
    """The state that the job ended in. It is asked for less and less often, so that a hundred may be waited for.

    Raises:
        UnreachableError: the service has not answered for `PATIENCE_SECONDS`.
    """
    began = answered = time.monotonic()
    while True:
        try:
            if (status := state_of(session.job(job))) in TERMINAL_STATES:
                return status
            answered = time.monotonic()
        except UnreachableError:
            if time.monotonic() - answered > PATIENCE_SECONDS:
                raise
        time.sleep(min(LONGEST_WAIT, SHORTEST_PAUSE + (time.monotonic() - began) / 20))


class _Interruption:
    def __init__(self) -> None:
        self._event = threading.Event()
        self.signum = 0

    def set(self, signum: int) -> None:
        self.signum = signum
        self._event.set()

    def wait(self, seconds: float) -> bool:
        return self._event.wait(seconds)


@contextmanager
def _interruptible() -> Iterator[_Interruption]:
    """While it is open, SIGINT and SIGTERM are noted, and end the next wait; requests under way are not cut."""
    interruption = _Interruption()

    def note(signum: int, frame: FrameType | None) -> None:
        interruption.set(signum)

    previous = {signum: signal.signal(signum, note) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def log_status(text: str) -> None:
    """Writes a line about the job, which is none of its own log, to standard error, where somebody reads it."""
    with suppress(OSError):
        write_all(2, f"{text}\n".encode(errors="backslashreplace"))
