"""The way to AzureML's metrics: in batches, off training's path, and never the end of a run."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

IN_A_JOB = {"AZUREML_RUN_ID": "job", "MLFLOW_TRACKING_URI": "azureml://x"}


class RefusedError(Exception):
    error_code = "INVALID_PARAMETER_VALUE"


class Service:
    """What was sent, and what goes wrong."""

    def __init__(self) -> None:
        self.metrics: list[tuple[str, float, int]] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.batches: list[int] = []
        self.failures: list[Exception] = []
        self.refused: set[str] = set()
        self.gate = threading.Event()
        self.gate.set()

    def log_batch(
        self, run: str, metrics: Any = (), params: Any = (), tags: Any = (), synchronous: bool = False
    ) -> None:
        assert (run, synchronous) == ("job", True)
        self.gate.wait(30)
        if self.failures:
            raise self.failures.pop(0)
        if self.refused & {name for name, *_ in [*metrics, *params]}:
            raise RefusedError("refused")
        self.batches.append(len(metrics))
        self.metrics += [(name, value, step) for name, value, _, step in metrics]
        self.params |= dict(params)
        self.tags |= dict(tags)


@pytest.fixture
def tracking(needs: Callable[..., None]) -> Any:
    """The module, where what it stands on is installed."""
    needs("torch")
    return import_module("innereye_runtime.training.lightning.tracking")


@pytest.fixture
def service(tracking: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    modules: dict[str, dict[str, Any]] = {
        "mlflow": {},
        "mlflow.tracking": {"MlflowClient": lambda: service},
        "mlflow.entities": {"Metric": lambda *all: all, "Param": lambda *all: all, "RunTag": lambda *all: all},
        "mlflow.exceptions": {"MlflowException": RefusedError},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(tracking, "_EVERY_SECONDS", 0.01)
    yield service
    service.gate.set()
    for thread in threading.enumerate():
        if thread.name == "azureml-tracking":  # it would import MLflow's own modules where the next test replaces them
            thread.join(30)
            assert not thread.is_alive()


@pytest.fixture
def tracked(tracking: Any) -> Callable[..., Any]:
    """Makes a logger of the job with the parameters given."""
    return lambda **parameters: tracking.JobTracking("job", parameters, tags={"attempt": "1"})


def test_all_that_is_logged_arrives_in_order(service: Service, tracked: Any) -> None:
    logger = tracked(width="3")
    for step in range(5):
        logger.log_metrics({"loss": 1.0 / (step + 1), "epoch": 0}, step)
    logger.finalize("success")
    logger.log_metrics({"test/loss": 0.5}, 5)
    logger.finalize("success")
    assert service.metrics == [*(("loss", 1.0 / (step + 1), step) for step in range(5)), ("test/loss", 0.5, 5)]
    assert (service.params, service.tags) == ({"width": "3"}, {"attempt": "1"})


def test_batches_are_no_larger_than_the_service_takes(service: Service, tracked: Any) -> None:
    logger = tracked(**{f"p{number}": "x" for number in range(250)})
    for step in range(2500):
        logger.log_metrics({"loss": 1.0}, step)
    logger.finalize("success")
    assert len(service.metrics) == 2500 and max(service.batches) <= 1000
    assert len(service.params) == 250


def test_a_failure_is_told_once_and_nothing_is_lost(
    service: Service, tracking: Any, tracked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.failures = [RuntimeError("no network\nand more"), RuntimeError("no network")]
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        tracking.log.propagate = True
        logger = tracked(width="3")
        logger.log_metrics({"loss": 1.0}, 0)
        deadline = time.monotonic() + 30
        while service.failures and time.monotonic() < deadline:
            time.sleep(0.01)
        logger.finalize("success")
    assert service.metrics == [("loss", 1.0, 0)]
    assert service.params == {"width": "3"}
    assert [record.message for record in caplog.records] == [
        "metrics can't be sent to AzureML (no network); metrics.csv has them"
    ]


def test_a_parameter_that_may_not_change_keeps_its_first_value(service: Service, tracked: Any) -> None:
    service.failures = [RefusedError("changed")]
    logger = tracked(width="3")
    logger.log_metrics({"loss": 1.0}, 0)
    logger.finalize("success")
    assert service.metrics == [("loss", 1.0, 0)]


def test_what_the_service_refuses_is_told_once_and_the_rest_arrives(
    service: Service, tracking: Any, tracked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    service.refused = {"dice[0]", "wide"}
    tracking.log.propagate = True
    with caplog.at_level(logging.WARNING, "innereye_runtime"):
        logger = tracked(narrow="1", wide="2", deep="3")
        for step in range(3):
            logger.log_metrics({"loss": 1.0, "dice[0]": 0.5, "val": 2.0}, step)
            time.sleep(0.05)
        assert logger.experiment is service
        logger.finalize("success")
    assert sorted(service.metrics) == sorted(
        (name, value, step) for name, value in (("loss", 1.0), ("val", 2.0)) for step in range(3)
    )
    assert service.params == {"narrow": "1", "deep": "3"}
    assert [record.getMessage() for record in caplog.records] == [
        "AzureML does not take the metric 'dice[0]' (refused); metrics.csv has it"
    ]


def test_logging_does_not_wait_for_the_service(service: Service, tracked: Any) -> None:
    service.gate.clear()
    logger = tracked()
    for step in range(100):
        logger.log_metrics({"loss": 1.0}, step)
    assert service.metrics == []
    service.gate.set()
    logger.finalize("success")
    assert len(service.metrics) == 100


@pytest.mark.parametrize("status", ["success", "failed"])
def test_the_end_does_not_wait_for_a_service_that_does_not_answer(
    status: str, service: Service, tracking: Any, tracked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "_UNANSWERED_SECONDS", 0.2)
    service.gate.clear()
    logger, waited = tracked(width="3"), []
    join = threading.Thread.join
    monkeypatch.setattr(
        threading.Thread, "join", lambda thread, timeout=None: (waited.append(timeout), join(thread, timeout))[1]
    )
    for _ in range(2):  # after training, and after the test
        logger.log_metrics({"loss": 1.0}, 0)
        logger.finalize(status)
    service.gate.set()
    assert waited[0] == 0.2 and waited[1] < 0.05


def test_outside_of_a_job_there_is_none(tracking: Any) -> None:
    assert tracking.azureml_logger({}, {}, attempt=1) is None


def test_without_the_packages_it_is_said(
    tracking: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "_is_installed", lambda name: False)
    with caplog.at_level(logging.INFO, "innereye_runtime"):
        tracking.log.propagate = True
        assert tracking.azureml_logger(IN_A_JOB, {}, attempt=1) is None
    assert "mlflow is not installed" in caplog.text
