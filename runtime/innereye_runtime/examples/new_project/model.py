"""The model: a small convolutional network that says whether an image has a lesion."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor, nn


class Classifier(pl.LightningModule):
    """Two convolutions and a linear layer that say whether an image has a lesion.

    Each argument is a key of `model.args` in the manifest, and an option: `--model.channels=16`.
    """

    def __init__(self, channels: int = 8, lr: float = 3e-3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.layers = nn.Sequential(
            nn.Conv2d(1, channels, 5, stride=2),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(channels, 2),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.evaluate(batch, "val")  # the best checkpoint is the one with the lowest val/loss

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.evaluate(batch, "test")

    def evaluate(self, batch: list[Tensor], split: str) -> None:
        logits = self(batch[0])
        self.log(f"{split}/loss", nn.functional.cross_entropy(logits, batch[1]))
        self.log(f"{split}/accuracy", (logits.argmax(dim=1) == batch[1]).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.lr)
