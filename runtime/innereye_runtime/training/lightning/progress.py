"""How far training is: a bar where a person is looking, a plain line now and then in a log.

Epochs count from 1 here, as in everything that a person reads; the files keep Lightning's, which count from 0.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from typing import IO, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from innereye_runtime.run.metric_names import parse_metric_name, rank
from innereye_runtime.training.checkpoints.checkpointing import Recovery
from innereye_runtime.training.lightning.batch_hooks import rest, wake
from innereye_runtime.training.lightning.duration import short_duration

log = logging.getLogger("innereye_runtime")

_SECONDS_TO_FIRST_LINE = 30.0
"""Of an epoch; each further line within it takes twice as long to come."""
_SECONDS_BETWEEN_DRAWS = 0.1
_BAR_WIDTH = 24
_METRICS_WIDTH = 110
"""Characters of metrics in a line of a log; metrics.csv has them all."""
_CLEAR = "\r\x1b[K"


class EpochLogger(Callback):
    """Logs a line for each epoch, once its checkpoint is on disk, and at the end the best epoch.

    At most about one epoch line a second is written: 10,000 epochs of a toy model don't fill a log. The last one always
    is. It must come after `Recovery` among the trainer's callbacks, which saves an epoch as the next one begins. Where
    there is no bar (`within_epochs`), a long epoch has lines of its own, each twice as long after the one before.
    """

    def __init__(self, *, within_epochs: bool = True) -> None:
        if not within_epochs:
            rest(self, "on_train_batch_end")
        self._epoch_started = 0.0
        self._last_line = 0.0
        self._next_line = 0.0
        self._pace = _Pace()
        self._ended: tuple[int, dict[str, float], float] | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if time.monotonic() - self._last_line >= 1:
            self._log_ended_epoch(trainer)
        self._epoch_started = time.monotonic()
        wake(self, "on_train_batch_start")
        self._pace.begin()
        self._next_line = self._epoch_started + _SECONDS_TO_FIRST_LINE

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        rest(self, "on_train_batch_start")
        self._pace.on_first_batch(batch_idx)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if now >= self._next_line and trainer.is_global_zero:
            self._next_line = now + (now - self._epoch_started)
            step = f"step {batch_idx + 1} of {trainer.num_training_batches}"
            speed = _speed(trainer, batch_idx + 1, self._pace.rate(batch_idx, now))
            log.info("%s, %s, %s", current_epoch(trainer), step, speed)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            seconds = time.monotonic() - self._epoch_started
            self._ended = trainer.current_epoch, _scalars(trainer.callback_metrics), seconds

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._log_ended_epoch(trainer)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        recovery = _recovery(trainer)
        if recovery is None or not trainer.is_global_zero or recovery.progress.best_epoch is None:
            return
        progress = recovery.progress
        extreme = "lowest" if progress.mode == "min" else "highest"
        value = f"{progress.monitor} {progress.best_value:.4g}, the {extreme}"
        log.info("best epoch: %d of %d (%s)", recovery.progress.best_epoch + 1, progress.epochs, value)

    def _log_ended_epoch(self, trainer: pl.Trainer) -> None:
        if self._ended is None:
            return
        epoch, values, seconds = self._ended
        recovery = _recovery(trainer)
        monitor = recovery.progress.monitor if recovery is not None else ""
        best = " *best" if recovery is not None and recovery.progress.best_epoch == epoch else ""
        log.info("epoch %s: %s (%.1f s)%s", _of(epoch, trainer), shown_metrics(values, monitor), seconds, best)
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
        self._pace = _Pace()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        wake(self, "on_train_batch_start")
        self._pace.begin()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        rest(self, "on_train_batch_start")
        self._pace.on_first_batch(batch_idx)

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
        speed = _speed(trainer, batch_idx + 1, self._pace.rate(batch_idx, now))
        parts = [
            f"{current_epoch(trainer)} {bar} {batch_idx + 1}/{total if known else '?'}",
            speed,
            shown_metrics(_of_step(trainer, outputs), "loss", width=40),
        ]
        width = os.get_terminal_size(self._terminal.fileno()).columns
        self._terminal.write(_CLEAR + "  ".join(part for part in parts if part)[: max(width - 1, 0)])
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


def shown_metrics(values: Mapping[str, float], monitor: str, *, width: int = _METRICS_WIDTH) -> str:
    """The metrics in one line: `monitor` first, then losses, then the others; those without room are counted."""
    # `x_step` and `x_epoch` repeat `x`; the shorter name is enough for a reader.
    names = [name for name in values if not (name.endswith(("_step", "_epoch")) and name.rpartition("_")[0] in values)]
    names.sort(key=lambda name: (name != monitor, rank(parse_metric_name(name).key)))
    line, shown = "", 0
    for name in names:
        text = f"{name} {values[name]:.4g}"
        if line and len(line) + len(text) > width:
            break
        line, shown = f"{line}  {text}".strip(), shown + 1
    if more := len(names) - shown:
        line += f"  and {more} more in metrics.csv" if width >= _METRICS_WIDTH else f"  +{more}"
    return line or ("nothing logged yet" if width >= _METRICS_WIDTH else "")


def _of_step(trainer: pl.Trainer, outputs: Any) -> dict[str, float]:
    """What this epoch's steps have logged so far: the values of an epoch that is not over are those of the last one."""
    found: dict[str, float] = {}
    loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        found["loss"] = float(loss)
    results = trainer.fit_loop.epoch_loop._results
    for metric in results.values():
        if (
            metric.meta.on_step
            and isinstance(metric._forward_cache, torch.Tensor)
            and metric._forward_cache.numel() == 1
        ):
            found.setdefault(metric.meta.name, float(metric._forward_cache))
    return found


def _scalars(values: Mapping[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value.numel() == 1}


class _Pace:
    """Steps a second in an epoch. In one that is continued, those of the attempt before are not counted, nor the time
    in which their batches are drawn again."""

    def __init__(self) -> None:
        self._since = 0.0
        self._first = 0

    def begin(self) -> None:
        self._since, self._first = time.monotonic(), 0

    def on_first_batch(self, batch_idx: int) -> None:
        """`batch_idx` is larger than 0 in an epoch that is continued."""
        self._first = batch_idx
        if batch_idx > 0:
            self._since = time.monotonic()

    def rate(self, batch_idx: int, now: float) -> float:
        """When `batch_idx` has ended."""
        return (batch_idx + 1 - self._first) / max(now - self._since, 1e-9)


def _speed(trainer: pl.Trainer, batches: int, rate: float) -> str:
    """Steps a second, and about how long training still takes, where its length is known; validation not counted."""
    total, epochs = trainer.num_training_batches, trainer.max_epochs
    text = f"{rate:.3g} it/s" if rate < 1000 else f"{rate:.0f} it/s"
    if not isinstance(total, int) or total <= 0 or epochs is None or epochs < 0:
        return text
    left = total - batches + (epochs - trainer.current_epoch - 1) * total
    return f"{text}, {short_duration(left / rate)} left"


def current_epoch(trainer: pl.Trainer) -> str:
    """As `epoch 3 of 20`, counted from 1; without the total where training has no last epoch."""
    return f"epoch {_of(trainer.current_epoch, trainer)}"


def _of(epoch: int, trainer: pl.Trainer) -> str:
    return f"{epoch + 1} of {trainer.max_epochs}" if (trainer.max_epochs or 0) > 0 else str(epoch + 1)


def _recovery(trainer: pl.Trainer) -> Recovery | None:
    return next(_recoveries(trainer), None)


def _recoveries(trainer: pl.Trainer) -> Iterator[Recovery]:
    callbacks: list[Callback] = vars(trainer)["callbacks"]
    return (each for each in callbacks if isinstance(each, Recovery))
