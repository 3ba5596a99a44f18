"""A loss that is not a number, or that is never returned: said when it happens, and not by a bad model at the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.core.optimizer import _MockOptimizer

from innereye_runtime.errors import InnerEyeError

log = logging.getLogger("innereye_runtime")

_LOOK_EVERY = 50
"""Steps on a GPU between two looks at the losses: each look waits for the GPU."""
_REMEDY = (
    "lower l_rate, clip the gradients (--set trainer.arguments.gradient_clip_val=1), "
    "or find the operation with --detect_anomaly=true"
)


class LossWatch(Callback):
    """Warns once of the first loss, and once of the first metrics, that are NaN or infinite; in a smoke run such a loss
    ends the run. A first epoch in which no step returned a loss ends any run: nothing was trained.
    """

    def __init__(self, *, smoke: bool) -> None:
        self._smoke = smoke
        self._steps = self._losses = 0
        self._pending: list[tuple[tuple[int, int], torch.Tensor]] = []
        self._loss_shown = self._metrics_shown = False

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        self._steps += 1
        if not isinstance(loss, torch.Tensor):
            return
        self._losses += 1
        if self._loss_shown:
            return
        place = batch_idx, trainer.current_epoch
        if loss.device.type == "cpu" and loss.numel() == 1:  # each batch: an operation of PyTorch takes longer
            if not math.isfinite(loss.item()):
                self._warn_of(trainer, *place)
            return
        self._pending.append((place, torch.isfinite(loss).all()))
        if loss.device.type == "cpu" or len(self._pending) >= _LOOK_EVERY:
            self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises InnerEyeError where nothing was trained, or in a smoke run, where the loss is not finite."""
        self._look(trainer)
        self._show_metrics(trainer)
        optimizers = [each for each in trainer.optimizers if not isinstance(each, _MockOptimizer)]
        if self._steps and not self._losses and pl_module.automatic_optimization and optimizers:
            name = type(pl_module).__name__
            raise InnerEyeError(
                f"{name}.training_step returned nothing in all {self._steps} steps of the epoch: nothing was trained",
                hint=f"end {name}.training_step with 'return loss'",
            )

    def _look(self, trainer: pl.Trainer) -> None:
        pending, self._pending = self._pending, []
        if not pending or all(torch.stack([finite for _, finite in pending]).tolist()):
            return
        self._warn_of(trainer, *next(place for place, finite in pending if not finite))

    def _warn_of(self, trainer: pl.Trainer, batch_idx: int, epoch: int) -> None:
        self._loss_shown = True
        place = f"step {batch_idx + 1} of epoch {epoch + 1}"
        message = f"the loss that training_step returned is not a finite number at {place}"
        if self._smoke:
            raise InnerEyeError(message, hint=_REMEDY)
        if trainer.is_global_zero:
            log.warning("warning: %s; %s", message, _REMEDY)

    def _show_metrics(self, trainer: pl.Trainer) -> None:
        if self._metrics_shown or not trainer.is_global_zero:
            return
        values = trainer.callback_metrics.items()
        wrong = [name for name, value in values if not bool(torch.isfinite(value).all())]
        if wrong:
            self._metrics_shown = True
            names = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
            log.warning("warning: not finite in epoch %d: %s", trainer.current_epoch + 1, names)
