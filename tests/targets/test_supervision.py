"""Stops, kills and retries, without a job: what the launcher asks for, and when."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.model import Retries
from innereye_runtime.manifest.units import Duration
from innereye_runtime.targets import supervision
from innereye_runtime.targets.supervision import RetryBudget, secret_values, supervise


class Job:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def stop(self, signum: int) -> None:
        self.asked.append(signal.Signals(signum).name)

    def kill(self) -> None:
        self.asked.append("kill")


def test_the_first_signal_stops_and_the_second_kills() -> None:
    job, before, threads = Job(), signal.getsignal(signal.SIGINT), threading.enumerate()
    with supervise(job.stop, job.kill, max_duration=None) as request:
        assert not request.made
        os.kill(os.getpid(), signal.SIGINT)
        assert request.made
        assert job.asked == ["SIGINT"]
        os.kill(os.getpid(), signal.SIGTERM)
        assert job.asked == ["SIGINT", "kill"]
        assert not request.timed_out
    for timer in {*threading.enumerate()} - {*threads}:
        assert isinstance(timer, threading.Timer)
        assert timer.finished.is_set(), "it would kill a job that has ended"
    assert signal.getsignal(signal.SIGINT) is before


def test_a_job_that_does_not_end_in_its_grace_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "GRACE_SECONDS", 0.05)
    job = Job()
    with supervise(job.stop, job.kill, max_duration=None):
        os.kill(os.getpid(), signal.SIGTERM)
        deadline = time.monotonic() + 10
        while "kill" not in job.asked and time.monotonic() < deadline:
            time.sleep(0.01)
    assert job.asked == ["SIGTERM", "kill"]


def test_the_longest_duration_stops_the_job_and_is_told_apart_from_a_signal() -> None:
    job = Job()
    with supervise(job.stop, job.kill, max_duration=Duration(1)) as request:
        deadline = time.monotonic() + 10
        while not request.made and time.monotonic() < deadline:
            time.sleep(0.01)
    assert request.timed_out
    assert job.asked == ["SIGTERM"]


@pytest.mark.parametrize(
    ("exit_codes", "starts"),
    [
        ([143, 143, 143, 143], [True, True, True, False]),
        ([137, 135, 137], [True, True, False]),
        ([139, 134], [True, True]),
        ([1], [False]),
        ([42], [False]),
        ([0], [False]),
        ([2], [False]),
        ([5], [False]),
        ([6], [False]),
        ([130], [False]),
    ],
)
def test_retries_are_counted_by_the_kind_of_failure(exit_codes: list[int], starts: list[bool]) -> None:
    budget = RetryBudget(Retries())
    assert [budget.take(exit_code) for exit_code in exit_codes] == starts


def test_failures_of_the_users_code_are_retried_where_the_manifest_says_so() -> None:
    budget = RetryBudget(Retries(user=2))
    assert [budget.take(exit_code) for exit_code in (0, 2, 3, 4, 5, 6, 130)] == [False] * 7
    assert [budget.take(42), budget.take(1), budget.take(1)] == [True, True, False]


def test_secrets_come_from_the_environment() -> None:
    assert secret_values(("A",), {"A": "1", "B": "2"}) == {"A": "1"}
    with pytest.raises(PreflightError, match="not set in the environment: B, C"):
        secret_values(("A", "B", "C"), {"A": "1"})
