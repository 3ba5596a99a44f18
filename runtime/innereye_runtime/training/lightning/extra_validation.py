"""hi-ml's extra validation epoch: what a model only does once, when training has ended."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from innereye_runtime.api.container import LightningContainer

log = logging.getLogger("innereye_runtime")


def extra_validation(
    container: LightningContainer,
    trainer: pl.Trainer,
    data: pl.LightningDataModule | None,
    checkpoints: Sequence[Path],
) -> pl.LightningDataModule | None:
    """The data to evaluate. Where `run_extra_val_epoch` asks for it, `on_run_extra_validation_epoch` has been called
    and the first of `checkpoints` validated on that data: the container's anew, where its hook may change it.

    Called in the one process that evaluates, before the test, as in hi-ml.
    """
    if not container.run_extra_val_epoch:
        return data
    container.on_run_extra_validation_epoch()
    cls = type(container)
    if cls.on_run_extra_validation_epoch is not LightningContainer.on_run_extra_validation_epoch:
        data = container.get_data_module()
    log.info("validating once more (run_extra_val_epoch)")
    path = str(checkpoints[0]) if checkpoints else None
    trainer.validate(container.model, datamodule=data, ckpt_path=path, weights_only=False, verbose=False)
    return data
