"""What models and containers of hi-ml log with. Metrics reach metrics.csv, TensorBoard and AzureML by themselves."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers.logger import Logger


def log_on_epoch(
    module: pl.LightningModule,
    name: str | None = None,
    value: Any = None,
    metrics: Mapping[str, Any] | None = None,
    reduce_fx: Any = "mean",
    sync_dist: bool | None = None,
    sync_dist_group: Any = None,
) -> None:
    """Logs `value` as `name`, or each of `metrics`, once an epoch, over all processes.

    Raises:
        ValueError: neither a name with a value nor metrics are given, or both.
    """
    if metrics is None and (name is None or value is None):
        raise ValueError("log_on_epoch needs metrics, or a name and a value")
    if metrics is not None and name is not None:
        raise ValueError("log_on_epoch takes metrics, or a name and a value, not both")
    several = module.trainer.world_size > 1 if sync_dist is None else sync_dist
    for each, found in ({str(name): value} if metrics is None else metrics).items():
        module.log(
            each,
            found,
            on_epoch=True,
            on_step=False,
            reduce_fx=reduce_fx,
            sync_dist=several,
            sync_dist_group=sync_dist_group,
        )


def log_learning_rate(module: pl.LightningModule, name: str = "learning_rate") -> None:
    """Logs the learning rate of each schedule, once an epoch."""
    schedulers = module.lr_schedulers()
    listed = schedulers if isinstance(schedulers, list) else [schedulers]
    rates = [rate for scheduler in listed if scheduler is not None for rate in scheduler.get_last_lr()]
    for index, rate in enumerate(rates):
        log_on_epoch(module, name if len(rates) == 1 else f"{name}/{index}", rate)


class AzureMLLogger(Logger):
    """Takes what is logged, and leaves it to the runtime, which sends metrics to AzureML itself. Any arguments."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    @property
    def name(self) -> str:
        return "azureml_by_runtime"

    @property
    def version(self) -> str:
        return ""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Nothing: the runtime's own logger has them."""

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: run.json and args.txt have them."""


class AzureMLProgressBar(Callback):
    """Nothing: each epoch is a line of the log by itself. Any arguments."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()


class BatchTimeCallback(Callback):
    """Logs the mean and the longest time of a training batch, and the time of an epoch, in seconds."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()
        self._epoch_began = self._batch_began = 0.0
        self._seconds: list[float] = []

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_began = time.monotonic()
        self._seconds.clear()

    def on_train_batch_start(self, *_: Any, **__: Any) -> None:
        self._batch_began = time.monotonic()

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self._seconds.append(time.monotonic() - self._batch_began)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._seconds:
            return
        log_on_epoch(pl_module, "timing/train/batch_time [sec] avg", sum(self._seconds) / len(self._seconds))
        log_on_epoch(pl_module, "timing/train/batch_time [sec] max", max(self._seconds), reduce_fx="max")
        log_on_epoch(pl_module, "timing/train/epoch_time [sec]", time.monotonic() - self._epoch_began)
