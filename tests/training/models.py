"""Small models whose training uses every state that a restart could lose: optimizer, schedulers, dropout, shuffling,
augmentation.
"""

from __future__ import annotations

from typing import Any

import numpy
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A linear problem whose items are augmented with noise from both global generators."""

    def __init__(self, items: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(items, 4, generator=generator)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.x[index]
        noise = 0.1 * torch.randn(4) + 0.1 * torch.from_numpy(numpy.random.randn(4)).float()
        return x + noise, x.sum(dim=0, keepdim=True)


class NoisyData(pl.LightningDataModule):
    def __init__(self, *, workers: int = 0, own_generator: bool = False) -> None:
        super().__init__()
        self.workers = workers
        self.generator = torch.Generator().manual_seed(7) if own_generator else None

    def train_dataloader(self) -> Any:
        return DataLoader(
            Noisy(20),
            batch_size=4,
            shuffle=True,
            num_workers=self.workers,
            generator=self.generator,
            multiprocessing_context="fork" if self.workers else None,
        )

    def val_dataloader(self) -> Any:
        return DataLoader(Noisy(8), batch_size=4)

    def test_dataloader(self) -> Any:
        return DataLoader(Noisy(8), batch_size=4)


SCHEDULERS = ("none", "epoch", "step", "plateau", "plateau every other epoch")


class Model(pl.LightningModule):
    def __init__(self, *, scheduler: str = "none") -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, 8),
            torch.nn.BatchNorm1d(8),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(8, 1),
        )
        self.scheduler = scheduler
        self.rates: list[float] = []

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.layers(x), y)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/loss", self.loss(batch))

    def on_train_epoch_start(self) -> None:
        self.rates.append(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        lr = torch.optim.lr_scheduler
        match self.scheduler:
            case "epoch":
                return [optimizer], [lr.StepLR(optimizer, 2, 0.5)]
            case "step":
                return [optimizer], [{"scheduler": lr.OneCycleLR(optimizer, 0.1, total_steps=50), "interval": "step"}]
            case "plateau":
                plateau = lr.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0, threshold_mode="abs")
                return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}
            case "plateau every other epoch":
                plateau = lr.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0, threshold_mode="abs")
                return {
                    "optimizer": optimizer,
                    "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss", "frequency": 2},
                }
        return optimizer
