"""What every launcher of a local job does while the job runs: pass signals on, end it in time, count its retries."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType

from innereye_runtime.errors import ExitCode, PreflightError
from innereye_runtime.manifest.model import Retries
from innereye_runtime.manifest.units import Duration
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import count_attempts

GRACE_SECONDS = 30
"""How long a job has, from the first signal, to save a checkpoint and end."""


class StopRequest:
    """Whether, and how, the running job was asked to end."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self.timed_out = False

    @property
    def made(self) -> bool:
        return self.signum is not None


class DetachedError(Exception):
    """A signal ended the following of a job that runs elsewhere; the job keeps running. `signum` says which."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def supervise(
    stop: Callable[[int], None], kill: Callable[[], None], *, max_duration: Duration | None
) -> Iterator[StopRequest]:
    """While it is open, the first SIGINT, SIGTERM or end of `max_duration` calls `stop`, and a second one `kill`.

    SIGHUP, where it is not ignored (nohup), counts as SIGTERM. `kill` is also called when the job has not ended
    `GRACE_SECONDS` after it was asked to. Both may be called for a job that has ended already. The handlers that were
    there before are put back at the end.
    """
    request = StopRequest()
    timers: list[threading.Timer] = []

    def ask(signum: int) -> None:
        if request.made:
            kill()
            return
        request.signum = signum
        grace = threading.Timer(GRACE_SECONDS, kill)
        grace.daemon = True
        timers.append(grace)
        grace.start()
        stop(signum)

    def on_signal(signum: int, frame: FrameType | None) -> None:
        ask(signal.SIGTERM if signum == signal.SIGHUP else signum)

    def on_timeout() -> None:
        request.timed_out = True
        # Handlers run in the main thread, so that a signal and the clock can't ask at the same moment.
        os.kill(os.getpid(), signal.SIGTERM)

    if max_duration is not None:
        clock = threading.Timer(max_duration.seconds, on_timeout)
        clock.daemon = True
        timers.append(clock)
        clock.start()
    heard = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        heard.append(signal.SIGHUP)
    previous = {signum: signal.signal(signum, on_signal) for signum in heard}
    try:
        yield request
    finally:
        for timer in timers:
            timer.cancel()
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def timeout_reason(max_duration: Duration | None) -> str:
    return f"stopped at the end of its max_duration of {max_duration}"


class RetryBudget:
    """How often a job may still be started again, by the kind of its failure."""

    def __init__(self, retries: Retries) -> None:
        self._left = {"preempted": retries.preempted, "infrastructure": retries.infrastructure, "user": retries.user}

    @property
    def left(self) -> Retries:
        return Retries(**self._left)

    def take(self, exit_code: int) -> bool:
        """True where a job that ended with `exit_code`, unasked, is to be started once more."""
        kind = _failure_kind(exit_code)
        if kind is None or self._left[kind] == 0:
            return False
        self._left[kind] -= 1
        return True


def report(line: str) -> None:
    """Writes a line to standard error, in place of what a job has drawn there last; nobody has to read it."""
    clear = "\r\33[K" if os.isatty(2) else ""
    with suppress(OSError):
        write_all(2, f"{clear}{line}\n".encode())


def report_retry(paths: RunPaths) -> None:
    report(f"starting attempt {count_attempts(paths) + 1}, as compute.retries has it")


def _failure_kind(exit_code: int) -> str | None:
    """None for an end that would be the same the next time: done, a wrong manifest, missing data, missing outputs."""
    match exit_code:
        case ExitCode.STOPPED:
            return "preempted"
        case 137 | 135 | 139 | 134:  # killed, bus error, segmentation fault, abort: 128 + the signal's number
            return "infrastructure"
        case _ if exit_code != ExitCode.USER_CODE and exit_code in set(ExitCode):
            return None
        case _:
            return "user"


def secret_values(names: tuple[str, ...], environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets' values, from the caller's environment.

    Raises:
        PreflightError: one of them is not set there.
    """
    missing = [name for name in names if name not in environment]
    if missing:
        raise PreflightError(
            f"secrets of the manifest that are not set in the environment: {', '.join(missing)}",
            hint=f"export {missing[0]}=... before you start the run; a manifest never contains values",
        )
    return {name: environment[name] for name in names}


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of `data`, however slowly it is taken.

    Raises:
        BrokenPipeError: nobody reads there any more (`| head`).
        OSError: it can't be written, as on a full disk.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # another process that has it too does not want to wait for it; this one has to
            room = select.poll()
            room.register(descriptor, select.POLLOUT)
            room.poll()
