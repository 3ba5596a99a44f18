"""Lets every batch look whether this process was asked to stop."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from innereye_runtime.training.lifecycle.signals import StopRequested, check_stop, stop_requested
from innereye_runtime.training.lightning.batch_hooks import rest
from innereye_runtime.training.lightning.progress import current_epoch


class StopAtBatch(Callback):
    """Ends training, validation, test and prediction between two batches or epochs after a signal.

    Where another callback saves the batches of an epoch before it ends (`looks_for_stop`), training is left to that.
    """

    _leaves_batches = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        callbacks: list[Callback] = vars(trainer)["callbacks"]
        self._leaves_batches = any(getattr(each, "looks_for_stop", False) for each in callbacks)
        if self._leaves_batches:
            rest(self, "on_train_batch_end")  # who saves looks right after it

    def on_train_epoch_start(self, *arguments: Any) -> None:
        check_stop()

    def on_train_batch_start(self, *arguments: Any) -> None:
        if self._leaves_batches:
            stop_requested()
        else:
            check_stop()

    def on_train_batch_end(self, *arguments: Any) -> None:
        check_stop()

    def on_validation_batch_end(self, *arguments: Any) -> None:
        check_stop()

    def on_test_batch_end(self, *arguments: Any) -> None:
        check_stop()

    def on_predict_batch_end(self, *arguments: Any) -> None:
        check_stop()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if isinstance(exception, StopRequested) and trainer.state.fn == "fit":
            exception.progress = f" in {current_epoch(trainer)}"
