"""logs/training.csv: learning rate, speed, GPU memory and load, and time of each epoch: no metrics of the model."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from innereye_runtime.run.folder import Column, read_columns
from innereye_runtime.training.lightning.batch_hooks import rest, wake
from innereye_runtime.training.lightning.gpu_load import GpuLoad

COLUMNS = ("epoch", "step", "learning_rate", "steps_per_second", "gpu_memory_gb", "seconds", "gpu_load_percent")
"""`seconds`: of training and validation so far; those of earlier attempts count, the time between them does not. The
load of the GPU is that of training alone; it comes last, as a run of an earlier version may be resumed."""


class TrainingLog(Callback):
    """Writes the file on the first rank; a restarted run continues it. Steps a second are those of training alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._started: float | None = None
        self._batches = 0
        self._load = GpuLoad()
        self._rate: float | str = ""
        self._row: list[float | str] | None = None
        self._began = 0.0
        """The monotonic time at which training would have begun, had it never been interrupted."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._began = time.monotonic() - _seconds_before(self._path, trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"rate": self._rate}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rate = state_dict["rate"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        wake(self, "on_train_batch_start")
        self._started, self._batches, self._row = None, 0, None
        self._load.take_mean()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        rest(self, "on_train_batch_start")  # a schedule changes the rate before the epoch has ended
        if batch_idx > 0:
            return
        if groups := [group for optimizer in trainer.optimizers for group in optimizer.param_groups]:
            self._rate = float(groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._load.sample(trainer.strategy.root_device)
        if self._started is None:  # the first batch waits for workers to start
            self._started = time.monotonic()
            return
        self._batches += 1
        if trainer.is_last_batch:  # a validation may come between this and the end of the epoch
            self._row = self._measured(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        speed, memory = self._row or ["", ""]
        load = self._load.take_mean()
        is_new = not self._path.exists()
        with self._path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if is_new:
                writer.writerow(COLUMNS)
            seconds = round(time.monotonic() - self._began, 3)
            row = [trainer.current_epoch, trainer.global_step, self._rate, speed, memory, seconds]
            writer.writerow([*row, "" if load is None else round(load, 1)])

    def _measured(self, trainer: pl.Trainer) -> list[float | str]:
        assert self._started is not None
        speed = self._batches / max(time.monotonic() - self._started, 1e-9)
        memory: float | str = ""
        if trainer.strategy.root_device.type == "cuda":
            memory = round(torch.cuda.max_memory_reserved(trainer.strategy.root_device) / 1e9, 3)
        return [round(speed, 3), memory]


def _seconds_before(path: Path, epoch: int) -> float:
    """How long the epochs before `epoch` took, as the file has it."""
    columns = read_columns(path).get("seconds", Column())
    return max((s for e, s in zip(columns.epochs, columns.values, strict=True) if e < epoch), default=0.0)
