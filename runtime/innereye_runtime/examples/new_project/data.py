"""The data: noise, with a bright disc in every other image. Replace it by your own images."""

from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset


class Images(pl.LightningDataModule):
    """Each argument is a key of `data.args` in the manifest, and an option: `--data.batch_size=32`."""

    def __init__(self, count: int = 128, batch_size: int = 32) -> None:
        super().__init__()
        self.count = count
        self.batch_size = batch_size

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(images(self.count, seed=1), batch_size=self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(images(self.count // 4, seed=2), batch_size=self.batch_size)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(images(self.count // 4, seed=3), batch_size=self.batch_size)


def images(count: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(count, 1, 32, 32, generator=generator)
    labels = torch.arange(count) % 2
    places = torch.randint(6, 26, (count, 2), generator=generator)
    rows, columns = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    for image, label, (row, column) in zip(pixels, labels, places, strict=True):
        if label:
            image[0][(rows - row) ** 2 + (columns - column) ** 2 <= 9] += 2.0
    return TensorDataset(pixels, labels)
