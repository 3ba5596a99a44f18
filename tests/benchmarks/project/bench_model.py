"""A small model that writes down when it took its first step, when its second epoch began and when training ended."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

STEPS = 300


class Net(pl.LightningModule):
    def __init__(self, lr: float = 1e-3) -> None:
        super().__init__()
        self.lr = lr
        self.layers = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
        self.started = False

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if not self.started:
            self.started = True
            mark("first_step", time.monotonic())
            if os.environ.get("BENCH_STOP") == "1":
                os._exit(0)
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self(batch[0]), batch[1]))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            mark("second_epoch", time.monotonic())

    def on_train_end(self) -> None:
        mark("end", time.monotonic())
        mark("steps", STEPS * (self.trainer.max_epochs - 1))


class Points(pl.LightningDataModule):
    def setup(self, stage: str) -> None:
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(64 * STEPS, 64, generator=generator)
        self.points = TensorDataset(x, (x[:, 0] > 0).long())

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.points, batch_size=64, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(*self.points[:256]), batch_size=64)


def mark(name: str, value: float) -> None:
    with Path(os.environ["BENCH_MARKS"]).open("a") as file:
        file.write(f"{name} {value}\n")
