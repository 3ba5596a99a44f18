"""How often training metrics reach the loggers."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class EnsureEpochLogging(Callback):
    """Lets what a step logs reach the loggers once an epoch at least, where an epoch has fewer steps than
    `pl_log_every_n_steps`: a small dataset's training loss would be missing from metrics.csv and from the curves.
    """

    _asked_for: int | None = None

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        # An epoch's number of steps is known now: callbacks may have changed how many batches make a step.
        if batch_idx > 0 and self._asked_for is not None:  # else the run resumes in the middle of an epoch
            return
        if self._asked_for is None:
            self._asked_for = trainer.log_every_n_steps  # type: ignore[attr-defined]
        batches = trainer.num_training_batches
        if math.isfinite(batches):
            steps = math.ceil(batches / trainer.accumulate_grad_batches)
            trainer.log_every_n_steps = min(self._asked_for, steps)  # type: ignore[attr-defined]


class ValidationRows(Callback):
    """Numbers what a validation step logs as if the run had never been stopped. Lightning counts it from 0 in each
    process."""

    def __init__(self) -> None:
        self._counts: dict[int, int] | None = None

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        counts = trainer.fit_loop.epoch_loop.val_loop._seen_batches_per_dataloader
        checkpoint["callbacks"][self.state_key] = {"counts": dict(counts)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._counts = state_dict["counts"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._counts is not None:
            trainer.fit_loop.epoch_loop.val_loop._seen_batches_per_dataloader.update(self._counts)
            self._counts = None
