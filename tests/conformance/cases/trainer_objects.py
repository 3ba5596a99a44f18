"""Loggers, progress bars and what a model asks its trainer for; callbacks that search, watch and report."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    BatchSizeFinder,
    DeviceStatsMonitor,
    LearningRateFinder,
    ModelSummary,
    OnExceptionCheckpoint,
    RichModelSummary,
    RichProgressBar,
    SpikeDetection,
    ThroughputMonitor,
    TQDMProgressBar,
)
from torch.utils.data import DataLoader

from tests.conformance.base import Case, Numbers, Tiny, flags, loader, samples

SEARCHED = "a restart searches again, from other weights, and may find another value; the runtime warns of it"


class CheckpointCallbackAsked(Case):
    """Lightning has one unless it is told not to."""

    arguments = flags(enable_checkpointing=True)
    killed_in = None

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return trainer.checkpoint_callback is not None


class OwnLoggerFirst(Case):
    killed_in = None

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return type(trainer.logger).__name__


class ExperimentOfEachLogger(Case):
    killed_in = None

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return all(hasattr(each, "experiment") or type(each).__name__ == "Recorder" for each in trainer.loggers)


class ProgressBar(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [TQDMProgressBar(refresh_rate=2)]

    arguments = flags(enable_progress_bar=True)


class RichBar(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [RichProgressBar()]

    arguments = flags(enable_progress_bar=True)


class Summary(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [ModelSummary(max_depth=2)]

    arguments = flags(enable_model_summary=True)


class RichSummary(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [RichModelSummary(max_depth=1)]

    arguments = flags(enable_model_summary=True)


class LearningRateFound(Case):
    killed_in = None
    epochs = 2

    class Data(Numbers):
        def train_dataloader(self) -> Any:
            return loader(80)

    def data(self) -> pl.LightningDataModule:
        return self.Data()

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.lr = 1e-3
            self.layer.bias.requires_grad_(False)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=self.lr)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [LearningRateFinder(num_training_steps=20, max_lr=0.1, early_stop_threshold=None)]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return model.lr, [weight.requires_grad for weight in model.parameters()]


class BatchSizeFound(Case):
    differs_resumed = SEARCHED

    class Data(Numbers):
        batch_size = 2

        def train_dataloader(self) -> Any:
            return DataLoader(samples(16, 1), self.batch_size)

    def data(self) -> pl.LightningDataModule:
        return self.Data()

    class Module(Tiny):
        def on_fit_start(self) -> None:
            self.layer.bias.requires_grad_(False)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [BatchSizeFinder(steps_per_trial=1, max_trials=2)]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        data: Any = vars(trainer.fit_loop._data_source.instance)
        return data["batch_size"], [weight.requires_grad for weight in model.parameters()]


class DeviceWatched(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [DeviceStatsMonitor(cpu_stats=False)]


class SpikesDetected(Case):
    differs_resumed = "SpikeDetection can't load its own state in Lightning 2.6"

    def callbacks(self) -> list[pl.Callback]:
        return [SpikeDetection(warmup=50)]

    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return {"loss": self.loss(batch)}

    def module(self) -> pl.LightningModule:
        return self.Module()


class ThroughputMeasured(Case):
    differs_resumed = "ThroughputMonitor has no state, and counts from 0 in each attempt; Lightning's, too"

    def callbacks(self) -> list[pl.Callback]:
        return [ThroughputMonitor(batch_size_fn=lambda batch: len(batch[0]), window_size=10)]


class KeptOnAnException(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [OnExceptionCheckpoint("exceptions")]

    arguments = flags(enable_checkpointing=True)


class EndlessEpochs(Case):
    arguments = flags(max_epochs=-1, max_steps=10)


class HyperparametersNotLogged(Case):
    arguments = flags(enable_autolog_hparams=False)

    class Module(Tiny):
        def __init__(self, width: int = 3) -> None:
            super().__init__()
            self.save_hyperparameters()

    def module(self) -> pl.LightningModule:
        return self.Module()


class Plugins(Case):
    class Halved(pl.plugins.Precision):
        def convert_input(self, data: Any) -> Any:
            return [data[0] / 2, data[1]]

    arguments = flags(plugins=[Halved()])


class WhatATrainerKnows(Case):
    """Numbers that a model reads off its trainer in training."""

    class Module(Tiny):
        def on_train_start(self) -> None:
            trainer = self.trainer
            self.known = [trainer.max_epochs, trainer.num_training_batches, trainer.estimated_stepping_batches]
            self.known += [trainer.world_size, trainer.log_every_n_steps, trainer.is_global_zero]  # type: ignore[attr-defined]
            self.known += [trainer.num_val_batches, trainer.train_dataloader is not None, trainer.precision]

    def module(self) -> pl.LightningModule:
        return self.Module()

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return model.known
