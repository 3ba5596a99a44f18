"""The launcher of ranks: starts them, passes signals on to them, and ends them all when one of them dies.

It stays a small process that imports no PyTorch: nothing of the user's runs in it, so that it outlives whatever ends a
rank, and can say what that was.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from innereye_runtime.errors import ExitCode
from innereye_runtime.job.rank_end import RankEnd
from innereye_runtime.launch.failure import Failure, failure_of, is_running, recorded_end
from innereye_runtime.launch.rank_group import Rank, RankGroup
from innereye_runtime.run.parent_death import signal_at_parent_death
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import count_attempts, record_exit

_POLL_SECONDS = 0.05
_ALONE_SECONDS = 4.0
"""How long the others may take to end by themselves, when one has died: the first of them writes the report."""
_STOP_SECONDS = 3.0
"""And after a SIGTERM. Together with what it takes to notice, that is less than ten seconds."""
_GRACE_SECONDS = 30.0
"""How long all of them have to save a checkpoint and end, when the job is asked to stop."""
_LOOK_SECONDS = 1.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SHOWN_LINES = 30


@dataclass(slots=True, kw_only=True)
class _Process:
    rank: Rank
    process: subprocess.Popen[bytes]

    @property
    def running(self) -> bool:
        return self.process.poll() is None


def launch(group: RankGroup, command: Sequence[str], paths: RunPaths) -> int:
    """The exit code of the job whose ranks `group` are started here, each by `command`. Blocks until none is left."""
    paths.logs.mkdir(parents=True, exist_ok=True)
    ends = Path(tempfile.mkdtemp(prefix="innereye-ranks-"))
    try:
        launcher = RankLauncher(group, paths, ends)
        with launcher.signals():
            launcher.start(command)
            return launcher.wait()
    finally:
        shutil.rmtree(ends, ignore_errors=True)


class RankLauncher:
    def __init__(self, group: RankGroup, paths: RunPaths, ends: Path) -> None:
        self._group = group
        self._paths = paths
        self._ends = ends
        self._is_whole = len(group.ranks) == group.world_size
        self._earlier = count_attempts(paths)
        if group.ranks[0].number != 0 and is_running(paths):
            self._earlier -= 1  # the first rank, on another node, has begun the attempt
        self._processes: list[_Process] = []
        self._signum: int | None = None
        self._since: float | None = None
        self._looked = time.monotonic()

    @contextmanager
    def signals(self) -> Iterator[None]:
        """While it is open, the first SIGINT, SIGTERM or SIGHUP goes on to every rank, and a second one kills them."""

        def pass_on(signum: int, frame: FrameType | None) -> None:
            if self._signum is None:
                self._stop(signal.SIGTERM if signum == signal.SIGHUP else signum)
            else:
                self._send(signal.SIGKILL)

        previous = {signum: signal.signal(signum, pass_on) for signum in _SIGNALS}
        try:
            yield
        finally:
            self._send(signal.SIGKILL)  # whatever led here, none is left
            for signum, handler in previous.items():
                signal.signal(signum, handler)

    def _stop(self, signum: int) -> None:
        self._signum = signum
        self._send(self._for_ranks(signum))

    def start(self, command: Sequence[str]) -> None:
        for rank in self._group.ranks:
            if self._signum is not None:
                return
            self._processes.append(_Process(rank=rank, process=self._start(rank, command)))
            if self._signum is not None:  # it came while this one was not in the list
                self._send(self._for_ranks(self._signum))

    def _start(self, rank: Rank, command: Sequence[str]) -> subprocess.Popen[bytes]:
        own = rank.number == 0 or self._group.as_it_is
        file = Path(os.devnull) if own else self._paths.rank_log(rank.number)
        with file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                env=self._group.environment(rank, self._ends, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=None if own else log,
                stderr=None if own else log,
                preexec_fn=_end_with_parent,
            )

    def wait(self) -> int:
        failure = self._first_failure()
        if self._signum is not None:
            return self._end_of_stop(self._signum)
        if failure is None:
            return ExitCode.DONE
        self._end_others(failure)
        if failure.lost:
            told = recorded_end(self._paths, earlier=self._earlier)
            return told.exit_code if told else failure.exit_code
        if failure.rank != 0 or failure.abrupt:
            self._show(failure)
        return failure.exit_code

    def _first_failure(self) -> Failure | None:
        """The failure that the others follow from; None where all ended well, or as they were asked to."""
        while True:
            running = any(each.running for each in self._processes)
            if self._signum is None and any(self._is_stopped(each) for each in self._processes):
                self._stop(signal.SIGTERM)  # of one rank alone, or of all before this process had it
            if self._signum is not None:
                self._wait_for_stop()
                return None
            failures = sorted(filter(None, map(self._failure, self._processes)), key=lambda failure: failure.order)
            if not running and not failures:
                return None
            if not failures and not self._is_whole and (elsewhere := self._failure_elsewhere()):
                failures = [elsewhere]
            if failures and self._since is None:
                self._since = time.monotonic()
            if failures and (not failures[0].lost or not running or self._waited > _ALONE_SECONDS):
                return failures[0]
            time.sleep(_POLL_SECONDS)

    @property
    def _waited(self) -> float:
        """The seconds since the first rank failed."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def _failure(self, each: _Process) -> Failure | None:
        return failure_of(each.rank.number, each.process.poll(), self._ends)

    def _failure_elsewhere(self) -> Failure | None:
        """That of a rank of another launcher, which may wait for none of those here."""
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return None
        self._looked = time.monotonic()
        return recorded_end(self._paths, earlier=self._earlier)

    def _is_stopped(self, each: _Process) -> bool:
        end = RankEnd.read(self._ends, each.rank.number)
        return end is not None and end.kind == "stopped"

    def _wait_for_stop(self) -> None:
        deadline = time.monotonic() + _GRACE_SECONDS
        while any(each.running for each in self._processes) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._kill()

    def _end_of_stop(self, signum: int) -> int:
        """The exit code of a job that was asked to stop: what the first rank told, which may have been complete."""
        if self._processes and all(each.process.returncode == 0 for each in self._processes):
            return ExitCode.DONE
        told = recorded_end(self._paths, earlier=self._earlier)
        if told is not None:
            return told.exit_code
        if self._group.ranks[0].number == 0:
            reason = f"stopped ({signal.Signals(signum).name})"
            record_exit(self._paths, 128 + signum, reason, earlier=self._earlier)
        return 128 + signum

    def _end_others(self, failure: Failure) -> None:
        """None runs any more when this returns, and `failure` is the end of the attempt."""
        asked = False
        while any(each.running for each in self._processes):
            # Again and again: the first rank may write its own record over it, before it misses the one that failed.
            failure.record(self._paths, earlier=self._earlier)
            if self._waited > _ALONE_SECONDS + _STOP_SECONDS:
                break
            if self._waited > _ALONE_SECONDS and not asked:
                asked = True
                self._send(signal.SIGTERM)
            time.sleep(_POLL_SECONDS)
        self._kill()
        failure.record(self._paths, earlier=self._earlier, over=True)

    def _show(self, failure: Failure) -> None:
        """The last lines of the rank that failed and why it ended, on the console and in its log."""
        log = self._paths.rank_log(failure.rank)
        lines = [f"error: {failure.reason}"]
        if failure.rank != 0 and not self._group.as_it_is and log.is_file():
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
            lines = [f"the end of logs/{log.name}:", *(f"  {line}" for line in last), *lines]
        text = "\n".join(lines) + "\n"
        sys.stderr.write(text)
        sys.stderr.flush()
        with self._paths.console_log.open("a", encoding="utf-8") as console:
            console.write(text)

    def _for_ranks(self, signum: int) -> int:
        """SIGTERM for an interrupt that comes before a rank listens: Python would show a traceback of its imports."""
        return signum if self._paths.console_log.exists() else signal.SIGTERM

    def _send(self, signum: int) -> None:
        for each in self._processes:
            if each.running:
                each.process.send_signal(signum)

    def _kill(self) -> None:
        self._send(signal.SIGKILL)
        for each in self._processes:
            each.process.wait()


def _end_with_parent() -> None:
    """Lets a rank end with its launcher, whatever ends that: Linux sends it SIGKILL."""
    signal_at_parent_death(signal.SIGKILL)
