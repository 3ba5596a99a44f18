"""A model of one second, and the same training without a runtime; each writes down how long its `fit` took."""

from __future__ import annotations

import time
from pathlib import Path

import pytorch_lightning as pl
from bench_model import Net, Points, mark
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

EPOCHS = 2


class SweptNet(Net):
    def __init__(self, lr: float) -> None:
        super().__init__(lr)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_fit_start(self) -> None:
        self.began = time.monotonic()

    def on_fit_end(self) -> None:
        mark("fit", time.monotonic() - self.began)


class TestedPoints(Points):
    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return self.val_dataloader()


def train(lr: float, folder: Path) -> None:
    pl.seed_everything(42)
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        devices=1,
        logger=[CSVLogger(folder, name="csv"), TensorBoardLogger(folder, name="tensorboard")],
        callbacks=[ModelCheckpoint(dirpath=folder / "checkpoints", monitor="val/loss", save_last=True)],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    data = TestedPoints()
    trainer.fit(SweptNet(lr), data)
    trainer.test(datamodule=data, ckpt_path="best", verbose=False, weights_only=False)
