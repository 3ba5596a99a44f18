"""hi-ml's extra validation epoch: what a model only does once, when training has ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from innereye_runtime.api.container import LightningContainer

log = logging.getLogger("innereye_runtime")

HOOK = "on_run_extra_validation_epoch"


def extra_validation(
    container: LightningContainer,
    trainer: pl.Trainer,
    data: pl.LightningDataModule | None,
    checkpoints: Sequence[Path],
) -> None:
    """Validates the first of `checkpoints` where `run_extra_val_epoch` asks for it, after the model's
    `on_run_extra_validation_epoch` was called, where it has one.
    """
    if not container.run_extra_val_epoch:
        return
    model = container.model
    if callable(hook := getattr(model, HOOK, None)):
        hook()
    log.info("validating once more (run_extra_val_epoch)")
    path = str(checkpoints[0]) if checkpoints else None
    trainer.validate(model, datamodule=data, ckpt_path=path, weights_only=False, verbose=False)
