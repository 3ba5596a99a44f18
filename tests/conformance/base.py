"""What a case is, and the smallest model and data that most of them are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

BATCH_SIZE = 4


def flags(**values: Any) -> Mapping[str, Any]:
    return MappingProxyType(values)


CASES: list[type[Case]] = []
"""Every case, in the order of the modules that define them."""


class Case:
    """One way of using Lightning: what a script would give to `Trainer(...)`, and what a container gives here."""

    epochs: ClassVar[int] = 3
    arguments: ClassVar[Mapping[str, Any]] = flags()
    """For `Trainer`, and for the container's `get_trainer_arguments`."""
    parameters: ClassVar[Mapping[str, Any]] = flags()
    """Of the container, where a flag of `arguments` is a parameter here: the container gets no `arguments` then."""
    stages: ClassVar[Sequence[str]] = ()
    """Run after training: test, predict."""
    killed_in: ClassVar[tuple[int, int] | None] = (1, 1)
    """The epoch and the batch in which a broken run is killed; None: there is nothing to resume."""
    seeded_by_epoch: ClassVar[bool] = False
    """It draws random numbers in later epochs, which the runtime seeds one by one: the reference does so too."""
    differs: ClassVar[str] = ""
    """Why a run differs from Lightning's, where it does."""
    differs_resumed: ClassVar[str] = ""
    """Why a resumed run differs from an unbroken one, where it does."""

    def __init_subclass__(cls) -> None:
        CASES.append(cls)

    def module(self) -> pl.LightningModule:
        return Tiny()

    def data(self) -> pl.LightningDataModule | None:
        return Numbers()

    def callbacks(self) -> list[pl.Callback]:
        return []

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        """What else has to be the same at the end of training."""
        return None


class Tiny(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return self.layer(x)

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return functional.mse_loss(self(x), y)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.loss(batch)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.9)


def samples(count: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 3, generator=generator)
    return TensorDataset(x, x.sum(1, keepdim=True) + 0.1 * torch.randn(count, 1, generator=generator))


def loader(count: int = 16, seed: int = 1, **options: Any) -> DataLoader[Any]:
    return DataLoader(samples(count, seed), batch_size=BATCH_SIZE, **options)


class Numbers(pl.LightningDataModule):
    def train_dataloader(self) -> Any:
        return loader()

    def val_dataloader(self) -> Any:
        return loader(8, 2)

    def test_dataloader(self) -> Any:
        return loader(8, 3)

    def predict_dataloader(self) -> Any:
        return loader(8, 4)
