"""Hooks between a loader and a step, what is set up for each stage, and samplers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, RandomSampler, WeightedRandomSampler

from tests.conformance.base import Case, Numbers, Tiny, flags, loader, samples


class HooksAroundTheTransfer(Case):
    stages = ("test",)

    class Module(Tiny):
        def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return [batch[0] + 1, batch[1]]

        def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
            return super().transfer_batch_to_device([2 * batch[0], batch[1]], device, dataloader_idx)

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return [batch[0] - 3, batch[1]] if self.training else batch

    def module(self) -> pl.LightningModule:
        return self.Module()


class HooksAroundTheTransferOfData(Case):
    stages = ("test",)

    class Data(Numbers):
        on_before_batch_transfer = HooksAroundTheTransfer.Module.on_before_batch_transfer

        def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
            return super().transfer_batch_to_device({"x": batch[0], "y": batch[1]}, device, dataloader_idx)

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            assert self.trainer is not None
            return [batch["x"] * (1 + self.trainer.current_epoch), batch["y"]]

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class SetUpAndTornDown(Case):
    stages = ("test", "predict")

    class Data(Numbers):
        def prepare_data(self) -> None:
            self.prepared = True

        def setup(self, stage: str) -> None:
            self.count = {"fit": 12, "test": 8, "predict": 4}[stage]

        def teardown(self, stage: str) -> None:
            del self.count

        def train_dataloader(self) -> Any:
            return loader(self.count)

        def test_dataloader(self) -> Any:
            return loader(self.count, 3)

        def predict_dataloader(self) -> Any:
            return loader(self.count, 3)

    class Module(Tiny):
        def setup(self, stage: str) -> None:
            self.stage = stage

        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return {self.stage: self(batch[0])}

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class LoadersMadeAgain(Case):
    epochs = 4
    killed_in = (2, 1)
    arguments = flags(reload_dataloaders_every_n_epochs=2)

    class Data(Numbers):
        def train_dataloader(self) -> Any:
            assert self.trainer is not None
            return loader(8, 10 + self.trainer.current_epoch)

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class LoadersMadeInTheEpochOfARestart(LoadersMadeAgain):
    killed_in = (1, 1)
    differs_resumed = "a restart makes the loaders anew, in an epoch in which an unbroken run does not; Lightning's too"


class Shuffled(Case):
    seeded_by_epoch = True

    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return loader(shuffle=True, drop_last=True)

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class ShuffledByAGeneratorOfItsOwn(Case):
    class Data(Numbers):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(7)

        def train_dataloader(self) -> Any:
            data = samples(16, 1)
            return DataLoader(data, 4, sampler=RandomSampler(data, generator=self.generator), generator=self.generator)

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class WeightedSampler(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            generator = torch.Generator().manual_seed(3)
            sampler = WeightedRandomSampler([1.0 + each % 3 for each in range(16)], 12, generator=generator)
            return DataLoader(samples(16, 1), 4, sampler=sampler)

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class _ByEpoch(torch.utils.data.Sampler[int]):
    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(torch.randperm(16, generator=torch.Generator().manual_seed(self.epoch)).tolist())

    def __len__(self) -> int:
        return 16


class SamplerThatIsToldTheEpoch(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return DataLoader(samples(16, 1), 4, sampler=_ByEpoch())

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class StateOfTheData(Case):
    class Data(Numbers):
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            assert self.trainer is not None
            self.seen += self.trainer.training
            return [batch[0] * (1 + self.seen / 10), batch[1]]

        def state_dict(self) -> dict[str, Any]:
            return {"seen": self.seen}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            self.seen = state_dict["seen"]

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class NestedBatches(Case):
    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return loader(collate_fn=lambda items: {"x": torch.stack([x for x, _ in items]), "more": list(items)})

    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            y = torch.stack([y for _, y in batch["more"]])
            return super().training_step((batch["x"], y), batch_idx)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def data(self) -> pl.LightningDataModule:
        return self.Data()


class DataFromDatasets(Case):
    def data(self) -> pl.LightningDataModule:
        return pl.LightningDataModule.from_datasets(samples(16, 1), samples(8, 2), batch_size=4, num_workers=0)

    seeded_by_epoch = True
