"""How far training is: a bar where a person is looking, a plain line now and then in a log."""

from __future__ import annotations

import logging
import os
import time
from typing import IO, Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

log = logging.getLogger("innereye_runtime")

_SECONDS_BETWEEN_LINES = 30
_SECONDS_BETWEEN_DRAWS = 0.1
_BAR_WIDTH = 24
_CLEAR = "\r\x1b[K"


class EpochLogger(Callback):
    """Logs a line for each epoch, once its checkpoint is on disk, and within long epochs one every half minute.

    At most about one epoch line a second is written: 10,000 epochs of a toy model don't fill a log. The last one always
    is. It must come after `Recovery` among the trainer's callbacks, which saves an epoch as the next one begins.
    """

    def __init__(self) -> None:
        self._epoch_started = 0.0
        self._last_line = 0.0
        self._ended: str | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if time.monotonic() - self._last_line >= 1:
            self._tell()
        self._epoch_started = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if now - max(self._last_line, self._epoch_started) >= _SECONDS_BETWEEN_LINES and trainer.is_global_zero:
            self._last_line = now
            step = f"step {batch_idx + 1} of {trainer.num_training_batches}"
            log.info("%s, %s: %s", _epoch(trainer), step, _metrics(trainer))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            seconds = time.monotonic() - self._epoch_started
            self._ended = f"{_epoch(trainer)}: {_metrics(trainer)} ({seconds:.1f} s)"

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._tell()

    def _tell(self) -> None:
        if self._ended is not None:
            log.info("%s", self._ended)
            self._ended, self._last_line = None, time.monotonic()


class TerminalBar(Callback):
    """Draws one line on a terminal and redraws it in place. `terminal` is written to directly, so no log has the
    bar.
    """

    def __init__(self, terminal: IO[str], *, every_n_batches: int | None = None) -> None:
        """Redraws at each `every_n_batches`-th batch; None: at most ten times a second."""
        self._terminal = terminal
        self._every_n_batches = every_n_batches
        self._drawn = 0.0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if self._every_n_batches is None and now - self._drawn < _SECONDS_BETWEEN_DRAWS:
            return
        if self._every_n_batches is not None and (batch_idx + 1) % self._every_n_batches != 0:
            return
        self._drawn = now
        total = trainer.num_training_batches
        known = isinstance(total, int) and total > 0
        filled = round(_BAR_WIDTH * (batch_idx + 1) / total) if known else 0
        bar = "█" * filled + "░" * (_BAR_WIDTH - filled)
        line = f"{_epoch(trainer)} {bar} {batch_idx + 1}/{total if known else '?'}  {_metrics(trainer)}"
        width = os.get_terminal_size(self._terminal.fileno()).columns
        self._terminal.write(_CLEAR + line[: max(width - 1, 0)])
        self._terminal.flush()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._clear()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._clear()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._clear()

    def _clear(self) -> None:
        self._terminal.write(_CLEAR)
        self._terminal.flush()


def _epoch(trainer: pl.Trainer) -> str:
    return f"epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"


def _metrics(trainer: pl.Trainer) -> str:
    # `x_step` and `x_epoch` repeat `x`; the shorter name is enough for a reader.
    values = trainer.callback_metrics
    names = [name for name in values if not (name.endswith(("_step", "_epoch")) and name.rpartition("_")[0] in values)]
    return (
        " ".join(f"{name} {float(values[name]):.4g}" for name in names if values[name].numel() == 1)
        or "nothing logged yet"
    )
