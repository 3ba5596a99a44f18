"""A container that trains in a second or two, in each of the ways that a restart could get wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import param
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, StochasticWeightAveraging, WeightAveraging
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from innereye_runtime import LightningContainer

TRAINER_ARGUMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {},
    "shuffle": {},
    "workers": {},
    "plateau": {},
    "one_cycle": {},
    "early_stopping": {},
    "accumulation": {"accumulate_grad_batches": 4},
    "bf16": {"precision": "bf16-mixed"},
    "iterable": {},
    "val_check_interval": {"val_check_interval": 0.5},
    "max_steps": {"max_steps": 20},
    "max_time": {"max_time": {"seconds": 1.5}},
    "swa": {},
    "swa_batch_norm": {},
    "ema": {},
    "two_optimizers": {},
    "monai_cache": {},
    "monai_smart_cache": {},
}
"""The variants, and what each passes to the Trainer. All but two have dropout and shuffle; those have one of them."""


class Faulted(LightningContainer):
    variant = param.Selector(objects=list(TRAINER_ARGUMENTS), default="plain", doc="What training is like.")
    pause = param.Number(default=0.1, bounds=(0, None), doc="Seconds that a training step takes longer.")

    def create_model(self) -> pl.LightningModule:
        return (
            TwoOptimizers(self.variant, self.pause)
            if self.variant == "two_optimizers"
            else Model(self.variant, self.pause)
        )

    def get_data_module(self) -> pl.LightningDataModule:
        return Data(self.variant)

    def get_trainer_arguments(self) -> dict[str, Any]:
        return TRAINER_ARGUMENTS[self.variant]

    def get_callbacks(self) -> list[Callback]:
        match self.variant:
            case "early_stopping":
                return [EarlyStopping("val/loss", patience=1, min_delta=0.2)]
            case "swa" | "swa_batch_norm":
                return [StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=2)]
            case "ema":
                return [WeightAveraging(avg_fn=lambda averaged, new, _: 0.9 * averaged + 0.1 * new)]
            case "monai_smart_cache":
                return [SmartCache()]
        return []


class Model(pl.LightningModule):
    def __init__(self, variant: str, pause: float) -> None:
        super().__init__()
        self.variant, self.pause = variant, pause
        norm = torch.nn.BatchNorm1d(8) if variant == "swa_batch_norm" else torch.nn.Identity()
        dropout = torch.nn.Dropout(0.0 if variant == "shuffle" else 0.3)
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 8), norm, torch.nn.ReLU(), dropout, torch.nn.Linear(8, 1))

    def loss(self, batch: Any) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.mse_loss(self.layers(x), y)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        time.sleep(self.pause)
        x, y = batch
        loss = self.loss((x + 0.1 * torch.randn_like(x), y))
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/loss", self.loss(batch))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        match self.variant:
            case "plateau":
                plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
                return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/loss"}}
            case "one_cycle":
                cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=24)
                return [optimizer], [{"scheduler": cycle, "interval": "step"}]
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


class TwoOptimizers(Model):
    """Manual optimisation of two parts in turn."""

    def __init__(self, variant: str, pause: float) -> None:
        super().__init__(variant, pause)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        loss = super().training_step(batch, batch_idx)
        first, second = self.optimizers()  # type: ignore[misc]
        for optimizer in (first, second):
            optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in (first, second):
            optimizer.step()

    def configure_optimizers(self) -> Any:
        return [
            torch.optim.Adam(self.layers[0].parameters(), lr=1e-2),
            torch.optim.SGD(self.layers[4].parameters(), lr=1e-2, momentum=0.9),
        ]


class Stream(IterableDataset[Any]):
    def __init__(self, table: TensorDataset) -> None:
        self.table = table

    def __iter__(self) -> Iterator[Any]:
        for index in torch.randperm(len(self.table)).tolist():
            yield self.table[index]


def cached(table: TensorDataset, variant: str) -> Any:
    """The table with MONAI's noise, which is drawn anew for each item; its first transform is done once."""
    from monai.data import CacheDataset, SmartCacheDataset
    from monai.transforms import Compose, Lambdad, RandGaussianNoised

    items = [{"x": x, "y": y} for x, y in table]
    transform = Compose([Lambdad("x", lambda x: 2 * x), RandGaussianNoised("x", prob=0.8, std=0.1), Pair()])
    if variant == "monai_cache":
        return CacheDataset(items, transform, progress=False)
    return SmartCacheDataset(items, transform, replace_rate=0.25, cache_num=32, progress=False)


class Pair:
    """The last of the transforms: a pair, as the other variants have it."""

    def __call__(self, item: dict[str, Any]) -> Any:
        return item["x"], item["y"]


class SmartCache(Callback):
    """Replaces a part of the cache after each epoch, as MONAI's handler does for Ignite."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.datamodule.cached.start()  # type: ignore[attr-defined]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.datamodule.cached.update_cache()  # type: ignore[attr-defined]

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.datamodule.cached.is_started():  # type: ignore[attr-defined]
            trainer.datamodule.cached.shutdown()  # type: ignore[attr-defined]


class Data(pl.LightningDataModule):
    def __init__(self, variant: str) -> None:
        super().__init__()
        self.variant = variant
        x = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
        self.table = TensorDataset(x, x.sum(dim=1, keepdim=True))
        self.cached = cached(self.table, variant) if variant.startswith("monai") else None

    def train_dataloader(self) -> Any:
        if self.variant == "iterable":
            return DataLoader(Stream(self.table), batch_size=8)
        workers = 2 if self.variant == "workers" else 0
        return DataLoader(
            self.cached or self.table,
            batch_size=8,
            shuffle=self.variant != "dropout",
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    def val_dataloader(self) -> Any:
        return DataLoader(self.table, batch_size=8)

    def test_dataloader(self) -> Any:
        return DataLoader(self.table, batch_size=8)
