"""Checkpoints, and resuming from them: a run that is killed anywhere and restarted ends with the same weights.

The state is saved between epochs: as the first thing of the next epoch, or when training ends and every other callback
and the model have done what they do then. Nothing of the finished epoch is open at that time (learning rates are
stepped, metrics are logged) and nothing of the next has begun. `open_epoch` also saves the middle of an epoch.

A validation inside an epoch may find the best weights; they are kept then, and count from the next save on. Only while
there is no complete epoch yet, and nobody knows whether there will be one (an endless IterableDataset), is a validation
inside an epoch a place to resume from: there Lightning continues with the next step and a data loader that begins anew.

Workers that outlive an epoch would carry on what they drew in it, which no other process can: they start anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, ModelCheckpoint
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.plugins.io import TorchCheckpointIO
from pytorch_lightning.trainer.states import TrainerFn

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints import ddp_state, extra_state, plain_state, rank_parts
from innereye_runtime.training.checkpoints.best_metric import AUTO, LAST, MONITORS, improves
from innereye_runtime.training.checkpoints.checkpoint_callback import KeptCheckpoints
from innereye_runtime.training.checkpoints.checkpoint_files import (
    Progress,
    ResumePoint,
    WholeFiles,
    copy_whole,
    look,
    pending,
    removed_on_failure,
    temporary,
)
from innereye_runtime.training.checkpoints.drawn_batches import end_workers
from innereye_runtime.training.checkpoints.world import World
from innereye_runtime.training.lifecycle.seeding import seed_phase
from innereye_runtime.training.lifecycle.signals import defer_signals
from innereye_runtime.training.lightning.metrics import logged_metrics, split_metrics

__all__ = ("LAST", "MONITORS", "Progress", "Recovery", "newest_checkpoint")

log = logging.getLogger("innereye_runtime")

_BEST = ("monitor", "mode", "criterion", "best_value", "best_epoch", "best_step")


class Recovery(Callback):
    """Saves last.ckpt and best.ckpt between epochs, and takes a restarted run back to where it was.

    It must be the first of the trainer's callbacks: the others' `on_train_epoch_start` belong to the epoch that is to
    begin. `kept` must be among them too; Lightning puts it at their end.
    """

    def __init__(
        self,
        paths: RunPaths,
        *,
        seed: int,
        monitor: str = "",
        mode: str = AUTO,
        every_n_epochs: int = 1,
        resumed: ResumePoint | None = None,
        foreign: bool = False,
    ) -> None:
        """`resumed`: the checkpoint of this run that training starts from. `foreign`: it starts from the whole state
        of another run."""
        self.progress = Progress(monitor=monitor)
        self.paths = paths
        self.kept = KeptCheckpoints(self)
        self.world = World()
        self._seed = seed
        self._monitor, self._mode = monitor, mode
        self._given: list[tuple[str, str]] = []
        self._every_n_epochs = every_n_epochs
        self.resumed_from = resumed
        self._awaited = resumed is not None or foreign
        self._resumed = False
        self._fitting = False
        self.plain = plain_state.PlainState()

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.progress)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not self._fitting:  # it is of what is evaluated, which may be another run's
            return
        if not self._awaited:  # a tuner puts back what it saved itself: that is not a restart
            self.progress = Progress(**state_dict)
            return
        self._resumed = True
        if self.resumed_from is not None:
            found = self.resumed_from.progress  # of several processes, that of the first
            self.progress = Progress(**{**state_dict, **{each: getattr(found, each) for each in _BEST}})
        else:  # the other run's best checkpoint is not here, and its end is not this run's
            theirs = Progress(**state_dict)
            self.progress = replace(theirs, finished=False, best_value=None, best_epoch=None, best_step=None)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._fitting = stage == TrainerFn.FITTING
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = WholeFiles(trainer.global_rank, trainer.world_size)
        whole = type(trainer.strategy.checkpoint_io) is WholeFiles
        if self._fitting and whole and not ddp_state.reason_against(trainer):
            self.world.join(trainer)
        own = (each for each in trainer.checkpoint_callbacks if isinstance(each, ModelCheckpoint))
        self._given = [(each.monitor, each.mode) for each in own if each.monitor and each is not self.kept]

    @property
    def awaits_partial(self) -> bool:
        """Whether training is to continue in the middle of an epoch."""
        return self._awaited and self.resumed_from is not None and self.resumed_from.progress.batches > 0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.plain.begin(trainer)
        if (
            self._resumed and not self.progress.batches
        ):  # for loaders that are made before training starts; what hooks make by then is put back there
            plain_state.restore(self.progress.plain, trainer)
        if self._resumed and self.progress.finished:
            trainer.should_stop = True

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.plain.begin(trainer)  # now with the training data
        if self._resumed and self.progress.inside:
            seed_phase(self._seed, f"step {trainer.global_step}")
            self._restore(trainer)
            self._resumed = self._awaited = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._resumed:
            self._restore(trainer)
            # The state was saved between two epochs. Lightning takes it for one from inside an epoch, and would skip a
            # step; with max_steps its own setter would do so whatever it is told.
            _Loop.restarting.fset(trainer.fit_loop, False)  # type: ignore[attr-defined]
        elif self.progress.epochs > 0:
            self._save(trainer)
        if trainer.current_epoch > 0:
            seed_phase(self._seed, f"epoch {trainer.current_epoch}")
            end_workers(trainer)
        if self._resumed and not self.progress.batches:  # else `OpenEpoch` makes the iterator, that of the whole epoch
            # Lightning has made the iterator of a first epoch by now, from whatever state the generators were in.
            iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
        self._resumed = self._awaited = False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Also called before the user's own callbacks; what they log is taken at the end of the epoch (`_save`).
        self.progress.epochs = trainer.current_epoch + 1

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.progress.epochs == 0:
            return
        # These are the weights that were validated. The others' `on_train_end` may change them, as averaging does.
        metrics = self._judged(trainer)
        if metrics is not None:
            self.note(trainer, metrics)
            self.store(trainer, pending(self.paths))
        strategy: Any = trainer.strategy
        whole = strategy.on_train_end

        def on_train_end() -> None:
            """The hook that comes after those of all callbacks and of the model."""
            del strategy.on_train_end
            whole()
            self._finish(trainer)

        strategy.on_train_end = on_train_end

    @defer_signals()
    def validated(self, trainer: pl.Trainer) -> None:
        """Called at the end of a validation, after the other callbacks. One at the end of an epoch counts with it."""
        loop = trainer.fit_loop.epoch_loop
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking or loop._num_ready_batches_reached():
            return
        metrics = self._judged(trainer)
        resumable = self.progress.epochs == 0 and math.isinf(trainer.num_training_batches)
        if metrics is None and not resumable:
            return
        self.note(trainer, metrics)
        self.progress.inside = True
        try:
            if metrics is not None:
                self.store(trainer, pending(self.paths))
            if resumable:
                self._store_last(trainer, copied=metrics is not None)
        finally:
            self.progress.inside = False

    def _restore(self, trainer: pl.Trainer) -> None:
        progress = self.progress
        best = progress.best_value, progress.best_epoch, progress.best_step
        # The first rank may have found the best checkpoint lost; all must judge alike.
        progress.best_value, progress.best_epoch, progress.best_step = trainer.strategy.broadcast(best)
        if not progress.batches:
            missing = extra_state.restore(progress.carried, extra_state.roots_of(trainer))
            for path in [*missing, *plain_state.restore(progress.plain, trainer)]:
                log.warning("the state of %s can't be put back: it is not there in this attempt", path)
        extra_state.freeze(trainer.lightning_module, self.progress.frozen)
        ddp_state.arrange_buckets(trainer, progress.buckets)
        # A schedule or a callback may watch a metric that isn't logged in every epoch.
        for name, value in (pair for values in self.progress.metrics.values() for pair in values.items()):
            number = torch.tensor(math.nan if value is None else value, dtype=torch.float64)
            trainer._logger_connector._callback_metrics[name] = number
        self.progress.inside = False
        self.kept.show()

    @defer_signals()  # a stop has the grace to save what an epoch has come to
    def _save(self, trainer: pl.Trainer) -> None:
        metrics = self._judged(trainer)
        improved = metrics is not None
        due = self._every_n_epochs > 0 and self.progress.epochs % self._every_n_epochs == 0
        self.note(trainer, metrics)
        if improved:
            self.store(trainer, pending(self.paths) if due else self.paths.best_checkpoint)
        if due:
            self._store_last(trainer, copied=improved)
        elif improved and trainer.is_global_zero:
            pending(self.paths).unlink(missing_ok=True)  # of an earlier validation, inside the epoch
        self.kept.show()

    @defer_signals()
    def _finish(self, trainer: pl.Trainer) -> None:
        self.progress.finished = True
        self.note(trainer)
        self._store_last(trainer, copied=False, is_best=self.progress.best_epoch is None)

    def _metrics(self, trainer: pl.Trainer) -> dict[str, float]:
        # Saving is collective, so all ranks must decide alike, also where a metric isn't synchronised between them.
        broadcast: dict[str, float] = trainer.strategy.broadcast(logged_metrics(trainer))
        return broadcast

    def note(self, trainer: pl.Trainer, metrics: Mapping[str, float] | None = None) -> None:
        """Takes into `progress` what a checkpoint is to hold."""
        self.progress.metrics = split_metrics(self._metrics(trainer) if metrics is None else metrics)
        self.progress.buckets = ddp_state.buckets(trainer)
        self.progress.carried = extra_state.states(extra_state.roots_of(trainer))
        self.progress.frozen = extra_state.captured_frozen(trainer.lightning_module)
        before, (self.progress.plain, lost) = self.progress.lost, self.plain.capture(trainer)
        self.progress.lost = [*lost, *ddp_state.lost_buffers(trainer)]
        if trainer.is_global_zero and set(self.progress.lost) - set(before):
            log.warning("warning: %s", plain_state.warning(self.progress.lost))

    def store(self, trainer: pl.Trainer, target: Path) -> None:
        """Writes the state to `target`, all at once."""
        beside = temporary(target)
        self._write(trainer, beside)
        if trainer.is_global_zero:
            beside.replace(target)

    def _store_last(self, trainer: pl.Trainer, *, copied: bool, is_best: bool = False) -> None:
        """Writes last.ckpt, `copied` from the new best checkpoint where that has the same state, and makes the pending
        best checkpoint best.ckpt. `is_best`: this state is the best one."""
        last, candidate = self.paths.last_checkpoint, pending(self.paths)
        beside = temporary(last)
        if not copied:
            self._write(trainer, beside)
        if trainer.is_global_zero:
            if copied:
                copy_whole(candidate, last)
            else:
                if is_best:
                    copy_whole(beside, candidate)
                beside.replace(last)
            if candidate.exists():
                candidate.replace(self.paths.best_checkpoint)
            self.paths.partial_checkpoint.unlink(missing_ok=True)
        self.kept.show()

    def _write(self, trainer: pl.Trainer, path: Path) -> None:
        if self.world.size > 1:
            rank_parts.store(trainer, self.world, path, weights=self.progress.batches > 0)
        elif trainer.is_global_zero:
            with removed_on_failure(path):
                trainer.save_checkpoint(path, weights_only=False)
        else:
            trainer.save_checkpoint(path, weights_only=False)

    def _judged(self, trainer: pl.Trainer) -> dict[str, float] | None:
        """The metrics where the weights are the best so far, by the metric that is watched; else None."""
        metrics, progress = self._metrics(trainer), self.progress
        watched = (self._monitor, self._mode)
        if not improves(progress, metrics, watched, given=self._given, tells=trainer.is_global_zero):
            return None
        progress.best_value, progress.best_step = metrics[progress.monitor], trainer.global_step
        progress.best_epoch = trainer.current_epoch if trainer.validating else progress.epochs - 1
        return metrics


def newest_checkpoint(paths: RunPaths) -> ResumePoint | None:
    """Of the checkpoints in the run folder that can be read, the one with most epochs; None where there is none."""
    return look(paths).newest
