"""How often training metrics reach the loggers."""

from __future__ import annotations

import math

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback


class OnceAnEpoch(Callback):
    """Lets what a step logs reach the loggers once an epoch at least, where an epoch has fewer steps than
    `pl_log_every_n_steps`: a small dataset's training loss would be missing from metrics.csv and from the curves.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        batches = trainer.num_training_batches
        if math.isfinite(batches) and batches > 0:
            steps = math.ceil(batches / trainer.accumulate_grad_batches)
            trainer.log_every_n_steps = min(trainer.log_every_n_steps, steps)  # type: ignore[attr-defined]
