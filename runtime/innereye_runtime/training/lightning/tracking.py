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
from collections.abc import Mapping
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
"""How long the end of training waits for what is still to be sent."""
_EVERY_SECONDS = 1.0
_MOST_METRICS, _MOST_PARAMS = 1000, 100
"""In one request. Source: https://mlflow.org/docs/latest/api_reference/rest-api.html#log-batch"""
_LONGEST_PARAM = 500


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
        self._failed = False
        self._thread: threading.Thread | None = None
        self._start()

    @property
    def name(self) -> str:
        return "azureml"

    @property
    def version(self) -> str:
        return self._run

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        now = int(time.time() * 1000)
        for name, value in metrics.items():
            if name != "epoch":
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
            self._thread.join(FLUSH_SECONDS)
            self._thread, self._closing = None, threading.Event()

    @rank_zero_only
    def _start(self) -> None:
        self._thread = threading.Thread(target=self._send, args=(self._closing,), daemon=True, name="azureml-tracking")
        self._thread.start()

    def _send(self, closing: threading.Event) -> None:
        client: MlflowClient | None = None
        waiting: list[tuple[str, float, int, int]] = []
        while True:
            is_last = closing.wait(_EVERY_SECONDS)
            while not self._metrics.empty():
                waiting.append(self._metrics.get())
            try:
                client = client or self._opened()
                self._send_parameters(client)
                while waiting:
                    _log_metrics(client, self._run, waiting[:_MOST_METRICS])
                    del waiting[:_MOST_METRICS]
            except Exception as error:
                # Whatever it is, no run ends for it.
                if not self._failed:
                    self._failed = True
                    reason = str(error).partition("\n")[0]
                    log.warning("metrics can't be sent to AzureML (%s); metrics.csv has them", reason)
            if is_last:
                return

    def _opened(self) -> MlflowClient:
        # MLflow reports its use to its makers unless told not to, from a job with patients' data too.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from mlflow.tracking import MlflowClient

        return MlflowClient()

    def _send_parameters(self, client: MlflowClient) -> None:
        """Sends them once. An attempt that was given other parameters keeps the first ones there: MLflow changes
        none.
        """
        from mlflow.entities import Param, RunTag
        from mlflow.exceptions import MlflowException

        while self._parameters or self._tags:
            names = list(self._parameters)[:_MOST_PARAMS]
            params = [Param(name, self._parameters[name]) for name in names]
            tags = [RunTag(name, value) for name, value in self._tags.items()]
            try:
                client.log_batch(self._run, params=params, tags=tags, synchronous=True)
            except MlflowException as error:
                if error.error_code != "INVALID_PARAMETER_VALUE":
                    raise
            self._tags = {}
            for name in names:
                del self._parameters[name]


def _log_metrics(client: MlflowClient, run: str, metrics: list[tuple[str, float, int, int]]) -> None:
    from mlflow.entities import Metric

    client.log_batch(run, metrics=[Metric(*metric) for metric in metrics], synchronous=True)


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
