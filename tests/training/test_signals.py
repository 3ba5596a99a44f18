"""A stop ends the run wherever the signal comes, and whatever swallows the exception."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from innereye_runtime.errors import ExitCode
from innereye_runtime.training.lifecycle import signals
from innereye_runtime.training.lifecycle.run import Run
from innereye_runtime.training.lifecycle.signals import StopRequested, check_stop, stop_on_signals, stop_requested


def interrupt(signum: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), signum)


def in_del() -> None:
    class Loader:
        def __del__(self) -> None:
            interrupt()

    Loader()  # gone at once


def in_fork_hook() -> None:
    armed = [True]

    def hook() -> None:
        if armed and armed.pop():
            interrupt()

    os.register_at_fork(after_in_parent=hook)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.mark.parametrize("place", [in_del, in_fork_hook])
def test_a_stop_that_python_swallows_is_raised_again(place: Callable[[], None]) -> None:
    started = time.monotonic()
    with pytest.raises(StopRequested), stop_on_signals():
        place()
        time.sleep(20)
    assert time.monotonic() - started < 10


def test_between_batches_a_stop_waits_for_the_next_look_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    with stop_on_signals() as stop, pytest.raises(StopRequested):
        check_stop()
        interrupt()
        assert stop.requested is not None, "and it is not raised before the batch looks"
        check_stop()
    monkeypatch.setattr(signals, "_POLL_SECONDS", 0.3)
    with stop_on_signals(), pytest.raises(StopRequested):
        check_stop()
        interrupt()
        time.sleep(20)  # nothing looks any more: user code that takes long


def test_a_stop_waits_for_a_batch_that_takes_as_long_as_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_POLL_SECONDS", 0.2)
    with pytest.raises(StopRequested), stop_on_signals():
        for batch in range(3):
            check_stop()  # as a batch begins, after it was loaded
            if batch == 2:
                interrupt()
            time.sleep(0.7)
            assert stop_requested() == (batch == 2)  # as it ends
            assert stop_requested() == (batch == 2)  # and after it
        check_stop()


@pytest.mark.parametrize(
    ("signum", "exit_code", "state"),
    [
        (signal.SIGTERM, ExitCode.STOPPED, "stopped"),
        (signal.SIGHUP, ExitCode.STOPPED, "stopped"),
        (signal.SIGINT, ExitCode.INTERRUPTED, "interrupted"),
    ],
)
@pytest.mark.parametrize("made_of_it", [SystemExit(1), RuntimeError("DataLoader worker exited"), KeyboardInterrupt()])
def test_the_record_has_the_stop_whatever_the_framework_makes_of_it(
    signum: int, exit_code: int, state: str, made_of_it: BaseException
) -> None:
    ended: list[Any] = []
    run: Any = SimpleNamespace(
        job=SimpleNamespace(debug=False),
        ranks=SimpleNamespace(is_first=True),
        record=SimpleNamespace(state="", end_attempt=lambda *end: ended.append(end)),
        exit_code=0,
    )
    with Run.record_errors(run):
        with suppress(StopRequested):
            interrupt(signum)
        raise made_of_it
    ((told, code, reason),) = ended
    assert (run.exit_code, told, code) == (exit_code, state, exit_code)
    assert signal.Signals(signum).name in reason


def test_a_hangup_that_the_caller_ignores_stays_ignored() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            interrupt(signal.SIGHUP)
        assert stop.requested is None
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_a_forked_worker_dies_of_a_signal_without_a_word(capfd: pytest.CaptureFixture[str]) -> None:
    with stop_on_signals():
        pid = os.fork()
        if pid == 0:
            time.sleep(20)
            os._exit(0)
        time.sleep(0.1)
        os.kill(pid, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
    assert capfd.readouterr().err == ""


WORKERS = """
import multiprocessing, os, sys, threading, time
from innereye_runtime.training.lifecycle.children import end_children_with_parent, end_with_parent

def work():
    end_with_parent()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    end_children_with_parent()
    start = multiprocessing.get_context(sys.argv[1]).Process(target=work).start
    start()
    if sys.argv[1] == "fork":  # its end is not that of a child which it forked
        pid = []
        thread = threading.Thread(target=lambda: pid.append(os.fork() or time.sleep(3)))
        thread.start()
        thread.join()
        if pid[0]:
            time.sleep(0.5)
            print("alive" if os.waitpid(pid[0], os.WNOHANG) == (0, 0) else "dead", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_no_worker_outlives_a_process_that_is_killed(tmp_path: Any, method: str) -> None:
    (tmp_path / "parent.py").write_text(WORKERS)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py", method], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = [parent.stdout.readline().strip() for _ in range(2 if method == "fork" else 1)]
    assert ("alive" in said) == (method == "fork")
    worker = next(int(line) for line in said if line.isdecimal())
    assert running(worker)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 10
    while running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(worker)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_no_timer_or_hook_is_left_behind() -> None:
    before = (sys.unraisablehook, threading.active_count(), signal.getsignal(signal.SIGTERM))
    with suppress(StopRequested), stop_on_signals():
        check_stop()
        interrupt()
    time.sleep(0.1)
    assert (sys.unraisablehook, threading.active_count(), signal.getsignal(signal.SIGTERM)) == before
