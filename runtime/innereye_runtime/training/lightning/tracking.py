"""Metrics and parameters for Azure Machine Learning's own pages, through MLflow, where a run is a job there.

They are sent by a thread of their own, in batches: neither the time that a request takes nor a service that does not
answer is training's. metrics.csv has them all in any case.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

log = logging.getLogger("innereye_runtime")

RUN_VARIABLE = "AZUREML_RUN_ID"
PACKAGES = ("mlflow", "azureml.mlflow")
FLUSH_SECONDS = 30.0
"""How long the end of training waits for what is still to be sent, to a service that answers."""
_UNANSWERED_SECONDS = 4.0
"""And in all for one that does not, or where training was stopped: the machine may be taken away in half a minute."""
_EVERY_SECONDS = 1.0
_MOST_METRICS, _MOST_PARAMS = 1000, 100
"""In one request. Source: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-batch"""
_LONGEST_PARAM = 500
_MOST_WAITING = 100_000
"""Metrics that are kept for a service that does not answer; metrics.csv has the earlier ones too."""


def azureml_logger(environment: Mapping[str, str], parameters: Mapping[str, Any], *, attempt: int) -> Logger | None:
    """A logger for the job that this process is part of; None where it is part of none, or the packages are missing."""
    run = environment.get(RUN_VARIABLE)
    if not run or "MLFLOW_TRACKING_URI" not in environment:
        return None
    missing = [name for name in PACKAGES if not _is_installed(name)]
    if missing:
        log.info("metrics are not shown in AzureML: %s is not installed; metrics.csv has them", missing[0])
        return None
    texts = {name: str(value)[:_LONGEST_PARAM] for name, value in parameters.items()}
    return JobTracking(run, texts, tags={"innereye-runtime.attempt": str(attempt)})


class JobTracking(Logger):
    """Sends what is logged to the run `run`, which is there already."""

    def __init__(self, run: str, parameters: Mapping[str, str], *, tags: Mapping[str, str]) -> None:
        super().__init__()
        self._run = run
        self._parameters = dict(parameters)
        self._tags = dict(tags)
        self._metrics: queue.SimpleQueue[tuple[str, float, int, int]] = queue.SimpleQueue()
        """Name, value, time in ms, step."""
        self._closing = threading.Event()
        self._failed = self._answers = False
        self._asked = threading.Event()
        """MLflow, whose import takes a while, is there: from now on it is the service that does not answer."""
        self._patience = _UNANSWERED_SECONDS
        self._refused: set[str] = set()
        self._client: MlflowClient | None = None
        self._thread: threading.Thread | None = None
        self._start()

    @property
    def name(self) -> str:
        return "azureml"

    @property
    def version(self) -> str:
        return self._run

    @property
    def run_id(self) -> str:
        return self._run

    @property
    def experiment(self) -> MlflowClient | None:
        """The client of MLflow, as Lightning's own logger for it has; None where there can be none."""
        try:
            self._client = self._client or self._opened()
        except Exception as error:
            self._tell_failure(error)
        return self._client

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if name != "epoch" and name not in self._refused:
                self._metrics.put((name, float(value), now, step or 0))
        if self._thread is None:  # a test, after training was finalised
            self._start()

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the container's parameters were given when this was made."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Waits until all is sent, but not for ever."""
        if self._thread is not None:
            self._closing.set()
            if status == "success":
                self._asked.wait(FLUSH_SECONDS)
            if self._answers and status == "success":
                self._thread.join(FLUSH_SECONDS)
            else:
                began = time.monotonic()
                self._thread.join(self._patience)
                self._patience = max(self._patience - (time.monotonic() - began), 0.0)
            self._thread, self._closing = None, threading.Event()

    @rank_zero_only
    def _start(self) -> None:
        self._thread = threading.Thread(target=self._send, args=(self._closing,), daemon=True, name="azureml-tracking")
        self._thread.start()

    def _send(self, closing: threading.Event) -> None:
        waiting: list[tuple[str, float, int, int]] = []
        while True:
            is_last = closing.wait(_EVERY_SECONDS)
            while not self._metrics.empty():
                waiting.append(self._metrics.get())
            try:
                client = self._client = self._client or self._opened()
                self._send_parameters(client)
                while waiting:
                    self._send_metrics(client, waiting[:_MOST_METRICS])
                    del waiting[:_MOST_METRICS]
                self._answers = True
            except Exception as error:
                self._answers = False  # whatever it is, no run ends for it
                self._asked.set()
                self._tell_failure(error)
                del waiting[:-_MOST_WAITING]
            if is_last:
                return

    def _tell_failure(self, error: Exception) -> None:
        if not self._failed:
            self._failed = True
            reason = str(error).partition("\n")[0]
            log.warning("metrics can't be sent to AzureML (%s); metrics.csv has them", reason)

    def _send_metrics(self, client: MlflowClient, metrics: list[tuple[str, float, int, int]]) -> None:
        """Sends them. Those with a name or a value that the service refuses are told once, and left out: it refuses all
        that comes with them."""
        metrics = [metric for metric in metrics if metric[0] not in self._refused]
        if not metrics:
            return
        try:
            _log_metrics(client, self._run, metrics)
        except Exception as error:
            if not _is_refusal(error):
                raise
            if len({name for name, *_ in metrics}) > 1:
                for name in dict.fromkeys(name for name, *_ in metrics):
                    self._send_metrics(client, [metric for metric in metrics if metric[0] == name])
                return
            self._refused.add(metrics[0][0])
            reason = str(error).partition("\n")[0]
            log.warning("AzureML does not take the metric '%s' (%s); metrics.csv has it", metrics[0][0], reason)

    def _opened(self) -> MlflowClient:
        # MLflow reports its use to its makers unless told not to, from a job with patients' data too.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        self._asked.set()
        return MlflowClient()

    def _send_parameters(self, client: MlflowClient) -> None:
        """Sends them once. An attempt that was given other parameters keeps the first ones there: MLflow changes
        none. One that the service refuses is left out alone.
        """
        from mlflow.entities import RunTag

        if self._tags:
            tags = [RunTag(name, value) for name, value in self._tags.items()]
            with _refusal_passed():
                client.log_batch(self._run, tags=tags, synchronous=True)
            self._tags = {}
        while self._parameters:
            names = list(self._parameters)[:_MOST_PARAMS]
            self._send_some(client, names)
            for name in names:
                del self._parameters[name]

    def _send_some(self, client: MlflowClient, names: list[str]) -> None:
        from mlflow.entities import Param

        params = [Param(name, self._parameters[name]) for name in names]
        try:
            client.log_batch(self._run, params=params, synchronous=True)
        except Exception as error:
            if not _is_refusal(error):
                raise
            if len(names) > 1:
                half = len(names) // 2
                self._send_some(client, names[:half])
                self._send_some(client, names[half:])


@contextmanager
def _refusal_passed() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not _is_refusal(error):
            raise


def _is_refusal(error: Exception) -> bool:
    """Whether the service, or MLflow before it asks, says that what it was given will never do."""
    return getattr(error, "error_code", "") in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


def _log_metrics(client: MlflowClient, run: str, metrics: list[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric

    client.log_batch(run, metrics=[Metric(*metric) for metric in metrics], synchronous=True)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
