"""Checkpoints, and resuming from them: a run that is killed anywhere and restarted ends with the same weights.

The state is saved between epochs: as the first thing of the next epoch, or when training ends. Nothing of the finished
epoch is open then (learning rates are stepped, metrics are logged) and nothing of the next has begun. A batch-exact
state would need the state of every worker and every metric, which Lightning does not have, so a broken epoch is run
again from its start.

Workers that outlive an epoch would carry on what they drew in it, which no other process can: they start anew.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.trainer import call
from torch.utils._pytree import tree_leaves

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints import extra_state
from innereye_runtime.training.checkpoints.weights import load_into, read_checkpoint
from innereye_runtime.training.lifecycle.seeding import seed_phase
from innereye_runtime.training.lifecycle.signals import defer_signals
from innereye_runtime.training.lightning.metrics import split_metrics

log = logging.getLogger("innereye_runtime")

MONITORS = ("val/Loss", "val/loss", "val_loss")
LAST = "last"


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a checkpoint knows beyond Lightning's own state."""

    epochs: int = 0
    """Complete ones."""
    finished: bool = False
    """Training came to its end, be it early: a restart goes on with inference."""
    monitor: str = ""
    best_value: float | None = None
    best_epoch: int | None = None
    """Counts from 0."""
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    """Of the last complete epoch, by split."""
    carried: dict[str, Any] = field(default_factory=dict)
    """The states of `innereye_runtime.training.checkpoints.extra_state`."""
    frozen: list[str] = field(default_factory=list)


class Recovery(Callback):
    """Saves last.ckpt and best.ckpt between epochs, and takes a restarted run back to where it was.

    It must be the first of the trainer's callbacks: the others' `on_train_epoch_start` belong to the epoch that is to
    begin.
    """

    def __init__(self, paths: RunPaths, *, seed: int, monitor: str = "", every_n_epochs: int = 1) -> None:
        self.progress = Progress(monitor=monitor)
        self._paths = paths
        self._seed = seed
        self._monitor = monitor
        self._every_n_epochs = every_n_epochs
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.progress)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress = Progress(**state_dict)
        self._resumed = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._resumed:
            self._restore(trainer)
        elif self.progress.epochs > 0:
            self._save(trainer)
        if trainer.current_epoch > 0:
            seed_phase(self._seed, f"epoch {trainer.current_epoch}")
            _end_workers(trainer)
        if self._resumed:
            # Lightning has made the iterator of a first epoch by now, from whatever state the generators were in.
            iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
            self._resumed = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Also called before the user's own callbacks; what they log is taken at the end of the epoch (`_save`).
        self.progress.epochs = trainer.current_epoch + 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.progress.epochs > 0:
            self.progress.finished = True
            self._save(trainer)

    def _restore(self, trainer: pl.Trainer) -> None:
        for path in extra_state.restore(self.progress.carried, _roots(trainer)):
            log.warning("the state of %s can't be put back: it is not there in this attempt", path)
        extra_state.freeze(trainer.lightning_module, self.progress.frozen)
        # A schedule or a callback may watch a metric that isn't logged in every epoch.
        for name, value in (pair for values in self.progress.metrics.values() for pair in values.items()):
            number = torch.tensor(math.nan if value is None else value, dtype=torch.float64)
            trainer._logger_connector._callback_metrics[name] = number
        # The state was saved between two epochs. Lightning takes it for one from inside an epoch, and would skip a
        # step; with max_steps its own setter would do so whatever it is told.
        _Loop.restarting.fset(trainer.fit_loop, False)  # type: ignore[attr-defined]

    @defer_signals()  # a stop has the grace to save what an epoch has come to
    def _save(self, trainer: pl.Trainer) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}
        # Saving is collective, so all ranks must decide alike, also where a metric isn't synchronised between them.
        metrics = trainer.strategy.broadcast(metrics)
        improved = self._update_best(metrics)
        if self.progress.finished and self.progress.best_epoch is None:
            improved = True
        self.progress.metrics = split_metrics(metrics)
        self.progress.carried = extra_state.states(_roots(trainer))
        self.progress.frozen = extra_state.captured_frozen(trainer.lightning_module)
        every = self._every_n_epochs
        due = self.progress.finished or (every > 0 and self.progress.epochs % every == 0)
        if not (improved or due):
            return
        target = self._paths.last_checkpoint if due else self._paths.best_checkpoint
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            trainer.save_checkpoint(temporary, weights_only=False)
        except BaseException:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)  # on a full disk it would take what room there is
            raise
        if trainer.is_global_zero:
            temporary.replace(target)
            if improved and due:
                _publish_copy(target, self._paths.best_checkpoint)

    def _update_best(self, metrics: Mapping[str, float]) -> bool:
        """True where the epoch that has just ended is the best so far, by the metric that is watched."""
        progress = self.progress
        if self._monitor == LAST:
            return False
        if not progress.monitor:
            progress.monitor = next((name for name in MONITORS if name in metrics), "")
        value = metrics.get(progress.monitor)
        if value is None or value != value or (progress.best_value is not None and value >= progress.best_value):
            return False
        progress.best_value, progress.best_epoch = value, progress.epochs - 1
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePoint:
    """The checkpoint that a restarted run goes on from."""

    path: Path
    step: int
    """The number of optimizer steps that were taken."""
    progress: Progress


def newest_checkpoint(paths: RunPaths) -> ResumePoint | None:
    """Of the checkpoints in the run folder that can be read, the one with most epochs; None where there is none."""
    found: list[ResumePoint] = []
    for path in (paths.last_checkpoint, paths.best_checkpoint):
        # Whatever a broken file makes torch raise, there is one answer: it isn't the one to go on from.
        with contextlib.suppress(Exception):
            content = read_checkpoint(path)
            progress = Progress(**content["callbacks"][Recovery.__qualname__])
            found.append(ResumePoint(path=path, step=content["global_step"], progress=progress))
    return max(found, key=lambda resumption: resumption.progress.epochs, default=None)


def restore_finished_run(
    resumption: ResumePoint, trainer: pl.Trainer, model: pl.LightningModule, data: pl.LightningDataModule | None
) -> None:
    """Makes model, data, callbacks and trainer what they were when training came to its end: evaluation goes on from
    there."""
    content = read_checkpoint(resumption.path)
    load_into(model, content)
    if data is not None and type(data).__qualname__ in content:
        data.load_state_dict(content[type(data).__qualname__])
    trainer.strategy.connect(model)
    call._call_callbacks_on_load_checkpoint(trainer, content)
    call._call_callbacks_load_state_dict(trainer, content)
    extra_state.restore(resumption.progress.carried, {"data": data, "model": model})
    # What evaluation logs stands at the epoch and the step at which training ended.
    trainer.fit_loop.load_state_dict(content["loops"]["fit_loop"])


def _roots(trainer: pl.Trainer) -> dict[str, Any]:
    """What the user made and training draws from."""
    made = {"train_dataloader": trainer.train_dataloader, "data": getattr(trainer, "datamodule", None)}
    # The last: what training shares with validation keeps its first name.
    return {**made, "model": trainer.lightning_module, "val_dataloaders": trainer.val_dataloaders}


def _end_workers(trainer: pl.Trainer) -> None:
    """Lets the workers of `persistent_workers` end with their epoch, as all others do."""
    for loader in tree_leaves([trainer.train_dataloader, trainer.val_dataloaders]):
        if getattr(loader, "persistent_workers", False):
            loader._iterator = None


def _publish_copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # blob-backed and some network file systems know no hard links
        shutil.copyfile(source, temporary)
    temporary.replace(target)
