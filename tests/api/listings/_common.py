"""A model and data that several listings share; not a container."""

from typing import Any

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


class Line(LightningDataModule):
    def __init__(self, rows: int = 16, batch_size: int = 4) -> None:
        super().__init__()
        x = torch.linspace(0, 1, rows).reshape(-1, 1)
        self.table = TensorDataset(x, 2 * x + 1)
        self.batch_size = batch_size

    def _loader(self) -> DataLoader:
        return DataLoader(self.table, batch_size=self.batch_size)

    def train_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return self._loader()

    def val_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return self._loader()

    def test_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return self._loader()


class LineSteps:
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)

    def _loss(self, batch: Any, name: str) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.forward(batch[0]), batch[1])
        self.log(name, loss, on_epoch=True, on_step=False)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self._loss(batch, "train/Loss")

    def validation_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self._loss(batch, "val/Loss")

    def test_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self._loss(batch, "test/Loss")


class LineModel(LineSteps, LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)
