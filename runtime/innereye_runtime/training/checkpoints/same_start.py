"""Several nodes, each with a copy of the checkpoints, begin with the same one, or not at all."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from innereye_runtime.errors import OutputError
from innereye_runtime.training.checkpoints.checkpoint_files import ResumePoint


class SameStart(Callback):
    """Compares what each rank resumes from with the first rank's."""

    def __init__(self, resumed: ResumePoint | None) -> None:
        self._own: tuple[int, int, int] | None = None
        if resumed is not None:
            self._own = (resumed.progress.epochs, resumed.global_step, resumed.progress.batches)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Raises `OutputError` where this rank would continue from another state than the first."""
        first = trainer.strategy.broadcast(self._own)
        if first != self._own:
            own = "no checkpoint" if self._own is None else f"a checkpoint of epoch {self._own[0]}"
            raise OutputError(
                f"this node has {own}, and the first node has another one",
                hint="resume the run again: its output was not the same on all nodes yet",
            )
