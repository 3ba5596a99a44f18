"""`trainer.checkpoint_callback`: what user code asks for the path of the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

if TYPE_CHECKING:
    from innereye_runtime.training.checkpoints.checkpointing import Recovery


class KeptCheckpoints(ModelCheckpoint):
    """Shows best.ckpt and last.ckpt under the names of Lightning's ModelCheckpoint, and writes nothing itself.

    Lightning puts it behind all callbacks that are not of its kind, so that what the others do at the end of a
    validation is done when `Recovery` hears of it here.
    """

    def __init__(self, recovery: Recovery) -> None:
        folder = recovery.paths.checkpoints
        super().__init__(dirpath=folder, filename=recovery.paths.best_checkpoint.stem, save_top_k=0)
        self._recovery = recovery
        self.saved: Callable[[], None] | None = None
        """Called when what lies below checkpoints/ has changed and is whole."""

    def show(self) -> None:
        """Brings paths and score up to what lies below checkpoints/."""
        paths, progress = self._recovery.paths, self._recovery.progress
        self.best_model_path = str(paths.best_checkpoint) if paths.best_checkpoint.exists() else ""
        self.last_model_path = str(paths.last_checkpoint) if paths.last_checkpoint.exists() else ""
        self.monitor, self.mode = progress.monitor or None, progress.mode
        score = None if progress.best_value is None else torch.tensor(progress.best_value)
        self.best_model_score = self.current_score = score
        if self.saved is not None:
            self.saved()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._recovery.validated(trainer)

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.show()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: there is nothing to begin."""

    on_train_batch_end = None  # type: ignore[assignment]  # nothing, and not called for it: `Recovery` saves

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: `Recovery` saves."""

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Nothing: `Recovery` saves."""

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Nothing: the last checkpoint is on disk."""

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Nothing: there is nothing to end."""

    def state_dict(self) -> dict[str, Any]:
        return {}  # it is part of no checkpoint

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing: see `state_dict`."""
