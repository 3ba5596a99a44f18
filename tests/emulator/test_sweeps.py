"""What the emulator decides for itself: draws of a sweep, early termination, and whose turn it is."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from azureml_emulator.jobs.early_termination import EarlyTermination
from azureml_emulator.jobs.search_space import draws, rejection_reason

ROOT = Path(__file__).resolve().parents[2]


def test_a_grid_has_every_combination_and_the_last_parameter_varies_fastest() -> None:
    space = {"a": ["choice", [[1, 2]]], "b": ["choice", [["x", "y"]]]}
    assert [tuple(one.values()) for one in draws(space, "Grid", None)] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_random_draws_stay_in_their_bounds_and_follow_the_seed() -> None:
    space = {
        "uniform": ["uniform", [1, 2]],
        "loguniform": ["loguniform", [math.log(1e-4), math.log(1e-1)]],
        "quniform": ["quniform", [4, 16, 4]],
        "randint": ["randint", [3]],
        "normal": ["normal", [0, 1]],
    }
    found = list(islice(draws(space, "Random", 7), 200))
    assert found == list(islice(draws(space, "Random", 7), 200)) != list(islice(draws(space, "Random", 8), 200))
    assert all(1 <= one["uniform"] <= 2 and 1e-4 <= one["loguniform"] <= 1e-1 for one in found)
    assert {one["quniform"] for one in found} == {4, 8, 12, 16}
    assert {one["randint"] for one in found} == {0, 1, 2}


@pytest.mark.parametrize(
    ("space", "algorithm", "reason"),
    [
        ({}, "Random", "the search space is empty"),
        ({"a": ["uniform", [0, 1]]}, "Grid", "search_space.a: grid sampling supports choice only, not uniform"),
        ({"a": ["gamma", [0, 1]]}, "Random", "search_space.a: there is no distribution gamma"),
        ({"a": ["uniform", [0, 1]]}, "Bayesian", ""),
    ],
)
def test_a_search_space_that_the_service_rejects(space: Any, algorithm: str, reason: str) -> None:
    assert rejection_reason(space, algorithm) == reason


HISTORIES = {"good": [0.5, 0.8, 0.9], "middle": [0.5, 0.7, 0.8], "bad": [0.1, 0.2, 0.2]}


@pytest.mark.parametrize(
    ("policy", "losers"),
    [
        (None, []),
        ({"policyType": "MedianStopping"}, ["bad"]),
        ({"policyType": "Bandit", "slackFactor": 0.5}, ["bad"]),
        ({"policyType": "Bandit", "slackAmount": 0.05}, ["middle", "bad"]),
        ({"policyType": "Bandit", "slackFactor": 0.5, "delayEvaluation": 4}, []),
        ({"policyType": "Bandit", "slackFactor": 0.5, "evaluationInterval": 5}, []),
        ({"policyType": "TruncationSelection", "truncationPercentage": 34}, ["bad"]),
        ({"policyType": "TruncationSelection", "truncationPercentage": 20}, []),
    ],
)
def test_early_termination_ends_the_trials_that_are_worse(policy: Any, losers: list[str]) -> None:
    assert EarlyTermination(policy).losers(HISTORIES) == losers


def test_a_trial_is_judged_once_at_each_interval() -> None:
    judge = EarlyTermination({"policyType": "Bandit", "slackFactor": 0.1})
    assert judge.losers({"a": [1.0], "b": [0.5]}) == ["b"]
    assert judge.losers({"a": [1.0], "b": [0.5]}) == []
    assert judge.losers({"a": [1.0, 1.0], "b": [0.5, 0.5]}) == ["b"]


def test_jobs_beyond_the_limit_wait_for_their_turn(needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    needs("azure", "azurite")
    from azureml_emulator.emulator import open_emulator
    from azureml_emulator.jobs import runner

    running, most, lock = 0, 0, threading.Lock()

    def work(self: Any, job: Any) -> list[int]:
        nonlocal running, most
        with lock:
            running, most = running + 1, max(most, running + 1)
        time.sleep(0.3)
        with lock:
            running -= 1
        return [0]

    monkeypatch.setattr(runner.Runner, "_run_attempts", work)
    monkeypatch.setattr(runner, "remove_stale", list)
    monkeypatch.setattr(runner, "remove_images", lambda: None)
    with open_emulator(ROOT, most_running=2) as emulator:
        jobs = [emulator.runner.make(f"job{number}", {"jobType": "Command"}) for number in range(5)]
        for job in jobs:
            emulator.workspace.jobs[job.name] = job
            emulator.runner.start(job)
        deadline = time.monotonic() + 30
        while not all(job.is_finished for job in jobs) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [job.status for job in jobs] == ["Completed"] * 5
        assert most == 2
