"""Loaders of all shapes, and the hooks between a loader and a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import CombinedLoader
from torch.utils.data import DataLoader, IterableDataset

from tests.conformance.base import Case, Numbers, Tiny, flags, loader, samples


class LoadersOfTheModel(Case):
    stages = ("test", "predict")

    class Module(Tiny):
        train_dataloader = Numbers.train_dataloader
        val_dataloader = Numbers.val_dataloader
        test_dataloader = Numbers.test_dataloader
        predict_dataloader = Numbers.predict_dataloader

        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch[0])

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> None:
        return None


class _Summed(Tiny):
    """The loss of all loaders of a batch."""

    def loss(self, batch: Any) -> torch.Tensor:
        parts = batch.values() if isinstance(batch, dict) else batch
        found = [super(_Summed, self).loss(part) for part in parts if part is not None]
        return torch.stack(found).sum()

    def validation_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("val_loss", Tiny.loss(self, batch))


class DictionaryOfLoaders(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return {"long": loader(20), "short": loader(8, 5)}

    def module(self) -> pl.LightningModule:
        return _Summed()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class ListOfLoaders(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return [loader(8), loader(8, 5)]

    def module(self) -> pl.LightningModule:
        return _Summed()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class CombinedLoaderOfTheShortest(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return CombinedLoader({"a": loader(20), "b": loader(12, 5)}, mode="min_size")

    def module(self) -> pl.LightningModule:
        return _Summed()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class CombinedLoaderOfTheLongest(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return CombinedLoader([loader(20), loader(12, 5)], mode="max_size")

    def module(self) -> pl.LightningModule:
        return _Summed()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class LoadersOneAfterAnother(Case):
    class Data(Numbers):
        def val_dataloader(self) -> Any:
            return CombinedLoader({"a": loader(8), "b": loader(12, 5)}, mode="sequential")

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int) -> Any:
            self.log("val_loss", self.loss(batch))

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class LoadersInParallel(Case):
    """Validation on the pairs of two loaders' batches."""

    class Data(Numbers):
        def val_dataloader(self) -> Any:
            return CombinedLoader([loader(8), loader(12, 5)], mode="max_size_cycle")

    class Module(_Summed):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("val_loss", self.loss(batch))

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return Tiny.loss(self, batch)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class SeveralValidationLoaders(Case):
    stages = ("test", "predict")

    class Data(Numbers):
        def val_dataloader(self) -> Any:
            return [loader(8, 2), loader(4, 3)]

        def test_dataloader(self) -> Any:
            return [loader(4, 5), loader(8, 6)]

        def predict_dataloader(self) -> Any:
            return [loader(4, 5), loader(8, 6)]

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
            self.log("val_loss", self.loss(batch))

        def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
            self.log("test_loss", self.loss(batch))

        def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
            return {"loader": dataloader_idx, "y": self(batch[0])}

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return trainer.num_val_batches


class NamesWithoutLoaders(Case):
    class Data(Numbers):
        def val_dataloader(self) -> Any:
            return {"near": loader(8, 2), "far": loader(4, 3)}

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
            self.log(("near", "far")[dataloader_idx], self.loss(batch), add_dataloader_idx=False)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class _Stream(IterableDataset[Any]):
    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        yield from samples(self.count, 1)


class EndlessLength(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return DataLoader(_Stream(14), batch_size=4)

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class StreamValidatedByBatches(Case):
    arguments = flags(val_check_interval=2)

    class Data(EndlessLength.Data):
        pass

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class LoaderThatIsAList(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return _Batches()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class _Batches:
    """Neither a DataLoader nor with a length: any iterable is a loader."""

    def __iter__(self) -> Iterator[Any]:
        for part in range(3):
            yield list(samples(12, 1)[part * 4 : part * 4 + 4])
