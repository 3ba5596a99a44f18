"""Checkpoints, and going on from them: a run that is killed anywhere and restarted ends with the same weights.

The state is saved between epochs: as the first thing of the next epoch, or when training ends. Nothing of the finished
epoch is open then (learning rates are stepped, metrics are logged) and nothing of the next has begun. A batch-exact
state would need the state of every worker and every metric, which Lightning does not have, so a broken epoch is run
again from its start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from innereye_runtime.job.paths import RunPaths
from innereye_runtime.training.metrics import split_metrics
from innereye_runtime.training.seeding import generator_states, restore_generators, seed_phase
from innereye_runtime.training.weights import read_checkpoint

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
    generators: list[Any] = field(default_factory=list)


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
        self._improved = False
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        return asdict(self.progress)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.progress = Progress(**state_dict)
        self._resumed = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._resumed:
            self._take_up(trainer)
        elif self.progress.epochs > 0:
            self._save(trainer)
        if trainer.current_epoch > 0:
            seed_phase(self._seed, f"epoch {trainer.current_epoch}")
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

    def _take_up(self, trainer: pl.Trainer) -> None:
        restore_generators(trainer.train_dataloader, self.progress.generators)
        # The state was saved between two epochs. Lightning takes it for one from inside an epoch, and would skip a
        # step.
        trainer.fit_loop.restarting = False

    def _save(self, trainer: pl.Trainer) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}
        # Saving is collective, so all ranks must decide alike, also where a metric isn't synchronised between them.
        metrics = trainer.strategy.broadcast(metrics)
        improved = self._judge(metrics)
        if self.progress.finished and self.progress.best_epoch is None:
            improved = True
        self.progress.metrics = split_metrics(metrics)
        self.progress.generators = generator_states(trainer.train_dataloader)
        every = self._every_n_epochs
        due = self.progress.finished or (every > 0 and self.progress.epochs % every == 0)
        if not (improved or due):
            return
        target = self._paths.last_checkpoint if due else self._paths.best_checkpoint
        temporary = target.with_name(f".{target.name}.tmp")
        trainer.save_checkpoint(temporary, weights_only=False)
        if trainer.is_global_zero:
            temporary.replace(target)
            if improved and due:
                _publish_copy(target, self._paths.best_checkpoint)

    def _judge(self, metrics: Mapping[str, float]) -> bool:
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
class Resumption:
    """The checkpoint that a restarted run goes on from."""

    path: Path
    step: int
    """The number of optimizer steps that were taken."""
    progress: Progress


def newest_checkpoint(paths: RunPaths) -> Resumption | None:
    """Of the checkpoints in the run folder that can be read, the one with most epochs; None where there is none."""
    found: list[Resumption] = []
    for path in (paths.last_checkpoint, paths.best_checkpoint):
        # Whatever a broken file makes torch raise, there is one answer: it isn't the one to go on from.
        with contextlib.suppress(Exception):
            content = read_checkpoint(path)
            progress = Progress(**content["callbacks"][Recovery.__qualname__])
            found.append(Resumption(path=path, step=content["global_step"], progress=progress))
    return max(found, key=lambda resumption: resumption.progress.epochs, default=None)


def _publish_copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # blob-backed and some network file systems know no hard links
        shutil.copyfile(source, temporary)
    temporary.replace(target)
