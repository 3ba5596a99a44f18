"""Modules and data modules as the documentation of Lightning writes them: no container, no parameters."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import LearningRateFinder
from lightning.pytorch.utilities import CombinedLoader
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, TensorDataset

from innereye_runtime import LightningContainer


def numbers(seed: int) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(16, 4, generator=generator)
    return TensorDataset(x, x.sum(1, keepdim=True))


class Data(pl.LightningDataModule):
    def __init__(self, batch_size: int = 4, val: bool = True) -> None:
        super().__init__()
        self.save_hyperparameters()

    def prepare_data(self) -> None:
        self.prepared = True

    def setup(self, stage: str) -> None:
        self.train, self.held_out = numbers(1), numbers(2)

    def train_dataloader(self):
        return DataLoader(self.train, batch_size=self.hparams["batch_size"], shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.held_out, batch_size=4) if self.hparams["val"] else []

    def test_dataloader(self):
        return DataLoader(self.held_out, batch_size=4)


class SeveralLoaders(Data):
    def train_dataloader(self):
        return CombinedLoader({"a": DataLoader(self.train, batch_size=4), "b": DataLoader(self.held_out, batch_size=4)})

    def val_dataloader(self):
        return [DataLoader(self.train, batch_size=4), DataLoader(self.held_out, batch_size=4)]


class TestLoaders(Data):
    def test_dataloader(self):
        return [DataLoader(self.train, batch_size=4), DataLoader(self.held_out, batch_size=4)]


class Predicted(Data):
    def predict_dataloader(self):
        return DataLoader(self.held_out, batch_size=4)


class Base(pl.LightningModule):
    def __init__(self, width: int = 3, lr: float = 0.05) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.net = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x)

    def loss(self, batch):
        x, y = batch
        return functional.mse_loss(self(x), y)

    def training_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.loss(batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class OptimizerLists(Base):
    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]


class Manual(Base):
    def __init__(self, width: int = 3, lr: float = 0.05) -> None:
        super().__init__(width, lr)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for optimizer in self.optimizers():
            loss = self.loss(batch)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        self.log("train/loss", loss)

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=self.lr) for part in (self.net[0], self.net[2])]


class OfSeveralLoaders(Base):
    def training_step(self, batch, batch_idx):
        loss = self.loss(batch["a"]) + self.loss(batch["b"])
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch, batch_idx, dataloader_idx=0):
        self.log("val/loss", self.loss(batch), add_dataloader_idx=dataloader_idx > 0)


class OfTestLoaders(Base):
    def test_step(self, batch, batch_idx, dataloader_idx=0):
        self.log("test/loss", self.loss(batch))


class Predicting(Base):
    def predict_step(self, batch, batch_idx):
        return self(batch[0])


class ConfigureModel(pl.LightningModule):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.width = width
        self.net = None

    def configure_model(self) -> None:
        if self.net is None:
            self.net = nn.Linear(4, self.width)

    def training_step(self, batch, batch_idx):
        loss = self.net(batch[0]).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class WithLRFinder(Base):
    def configure_callbacks(self):
        return [LearningRateFinder(num_training_steps=8)]


class OwnLoaders(Base):
    def __init__(self, root: str, **kwargs) -> None:
        super().__init__(**kwargs)
        self.root = root

    def on_fit_start(self) -> None:
        print("root is", self.root)

    def train_dataloader(self):
        return DataLoader(numbers(1), batch_size=4)


class AsContainer(LightningContainer):
    def create_model(self):
        return OptimizerLists(width=5)

    def get_data_module(self):
        return Data(batch_size=8)
