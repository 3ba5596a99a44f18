"""The same training as a person writes it without a runtime: two loggers, a best and a last checkpoint."""

from __future__ import annotations

import sys

import pytorch_lightning as pl
from bench_model import Net, Points
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger

pl.seed_everything(42)
trainer = pl.Trainer(
    max_epochs=int(sys.argv[1]),
    accelerator="cpu",
    devices=1,
    logger=[CSVLogger("logs", name="csv"), TensorBoardLogger("logs", name="tensorboard")],
    callbacks=[ModelCheckpoint(dirpath="checkpoints", monitor="val/loss", save_last=True)],
    enable_progress_bar=False,
    enable_model_summary=False,
    num_sanity_val_steps=0,
)
trainer.fit(Net(), Points())
