"""The models of which docs/screenshots.py shows the reports. Their metrics are drawn, not measured: they show what a
report looks like, and say nothing about a method.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import add_confusion_matrix, add_overlay, add_per_subject

STRUCTURES = (
    *("brainstem", "cochlea_left", "cochlea_right", "eye_left", "eye_right", "larynx"),
    *("mandible", "optic_chiasm", "parotid_left", "parotid_right", "spinal_cord", "thyroid"),
)


class Data(pl.LightningDataModule):
    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(_points(), batch_size=16, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(_points(), batch_size=32)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(_points(), batch_size=32)


class Line(pl.LightningModule):
    """Fits a line, and logs what its derived classes draw.

    Args:
        stops_at: The epoch, counted from 0, at whose start the run is interrupted as by Ctrl-C, once; -1: never.
        fails_at: The epoch at whose validation it fails; -1: never.
    """

    def __init__(self, lr: float = 0.05, stops_at: int = -1, fails_at: int = -1) -> None:
        super().__init__()
        self.lr, self.stops_at, self.fails_at = lr, stops_at, fails_at
        self.encoder = nn.Sequential(nn.Linear(1, 8), nn.ReLU())
        self.head = nn.Linear(8, 1)

    def forward(self, points: Tensor) -> Tensor:
        values: Tensor = self.head(self.encoder(points))
        return values

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        loss = self._loss(batch)
        self.log("train/loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        if self.current_epoch == self.fails_at:
            raise ValueError("the mask of subject 7 has 3 slices, and its image 4")
        self.log("val/loss", self._loss(batch))
        self.log_dict({f"val/{name}": value for name, value in self.drawn(self.current_epoch)})

    def test_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        self.log("test/loss", self._loss(batch))
        self.log_dict({f"test/{name}": value for name, value in self.drawn(self.current_epoch)})

    def configure_optimizers(self) -> tuple[list[torch.optim.Optimizer], list[torch.optim.lr_scheduler.ExponentialLR]]:
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.97)]

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.stops_at and not Path("interrupted").exists():
            Path("interrupted").touch()
            signal.raise_signal(signal.SIGINT)

    def drawn(self, epoch: int) -> Iterator[tuple[str, float]]:
        yield from ()

    def _loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        points, values = batch
        return nn.functional.mse_loss(self(points), values)


class ManyMetrics(Line):
    """Logs thirty metrics in each epoch, some of them noisy."""

    def drawn(self, epoch: int) -> Iterator[tuple[str, float]]:
        noise = np.random.default_rng(epoch)
        for number in range(30):
            yield f"score_{number:02d}", 1 - math.exp(-epoch / (10 + 4 * number)) + 0.02 * noise.normal()


class HeadAndNeck(Line):
    """Segments twelve organs at risk of the head and neck: Dice, Hausdorff distance and error of the volume of each."""

    def drawn(self, epoch: int) -> Iterator[tuple[str, float]]:
        noise = np.random.default_rng(epoch)
        for number, structure in enumerate(STRUCTURES):
            learned = 1 - math.exp(-(epoch + 1) / (4 + number))
            yield f"{structure}/dice", (0.93 - 0.02 * number) * learned + 0.01 * noise.normal()
            yield f"{structure}/hd95_mm", 25 - 20 * learned + noise.normal()
            yield f"{structure}/volume_error", 0.4 - 0.35 * learned + 0.01 * noise.normal()

    def on_test_epoch_end(self) -> None:
        noise = np.random.default_rng(0)
        rows = [
            {"subject": f"HN-{number:03d}"}
            | {name: 0.92 - 0.03 * index + 0.04 * noise.normal() for index, name in enumerate(STRUCTURES)}
            for number in range(40)
        ]
        add_per_subject(rows, "Dice by subject")
        add_confusion_matrix([[310, 12, 3], [9, 188, 14], [1, 11, 92]], "Side", names=["left", "right", "neither"])
        grid = np.hypot(*np.meshgrid(np.linspace(-1, 1, 96), np.linspace(-1, 1, 96)))
        add_overlay(np.exp(-grid), (grid < 0.6).astype(int) + (grid < 0.3), "HN-007", names=["mandible", "larynx"])


def _points() -> TensorDataset:
    points = torch.linspace(-1, 1, 64)[:, None]
    return TensorDataset(points, 3 * points + 1)
