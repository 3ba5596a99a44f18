"""Flags of the trainer that say how long, how often and in what numbers it trains and validates."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch

from tests.conformance.base import Case, Tiny, flags


class Accumulated(Case):
    arguments = flags(accumulate_grad_batches=2)


class AccumulatedUnevenly(Case):
    arguments = flags(accumulate_grad_batches=3)


class AccumulatedByParameter(Case):
    arguments = flags(accumulate_grad_batches=2)
    parameters = flags(pl_accumulate_grad_batches=2)


class ValidatedTwiceAnEpoch(Case):
    arguments = flags(val_check_interval=0.5)


class ValidatedEveryThreeBatches(Case):
    arguments = flags(val_check_interval=3, check_val_every_n_epoch=None)


class ValidatedEverySecondEpoch(Case):
    epochs = 5
    arguments = flags(check_val_every_n_epoch=2)


class ValidatedByParameter(Case):
    arguments = flags(check_val_every_n_epoch=2)
    parameters = flags(pl_check_val_every_n_epoch=2)


class Steps(Case):
    arguments = flags(max_steps=10)


class StepsThatEndAnEpoch(Case):
    arguments = flags(max_steps=8)


class FewestEpochs(Case):
    """The model asks to stop at once."""

    epochs = 5
    arguments = flags(min_epochs=3)

    class Module(Tiny):
        def on_train_epoch_end(self) -> None:
            self.trainer.should_stop = True

    def module(self) -> pl.LightningModule:
        return self.Module()


class FewestSteps(Case):
    epochs = 5
    arguments = flags(min_steps=6)

    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.trainer.should_stop = True
            return super().training_step(batch, batch_idx)

    def module(self) -> pl.LightningModule:
        return self.Module()


class LimitedByCount(Case):
    arguments = flags(limit_train_batches=3, limit_val_batches=1, limit_test_batches=1, limit_predict_batches=1)
    stages = ("test", "predict")

    class Module(Tiny):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch[0])

    def module(self) -> pl.LightningModule:
        return self.Module()


class LimitedByFraction(Case):
    arguments = flags(limit_train_batches=0.5, limit_val_batches=0.5)


class LimitedByParameter(Case):
    arguments = flags(limit_train_batches=2, limit_val_batches=1, limit_test_batches=1)
    parameters = flags(pl_limit_train_batches=2, pl_limit_val_batches=1, pl_limit_test_batches=1)
    stages = ("test",)


class NoValidation(Case):
    arguments = flags(limit_val_batches=0)


class OverfitOnTwoBatches(Case):
    arguments = flags(overfit_batches=2)


class SanityCheck(Case):
    arguments = flags(num_sanity_val_steps=2)


class SanityCheckByParameter(Case):
    arguments = flags(num_sanity_val_steps=-1)
    parameters = flags(pl_num_sanity_val_steps=-1)


class AnomaliesDetected(Case):
    arguments = flags(detect_anomaly=True)


class MixedPrecision(Case):
    arguments = flags(precision="bf16-mixed")


class TrueHalfPrecision(Case):
    arguments = flags(precision="bf16-true")


class DoublePrecision(Case):
    arguments = flags(precision="64-true")

    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            assert batch[0].dtype == torch.float64
            return super().training_step(batch, batch_idx)

    def module(self) -> pl.LightningModule:
        return self.Module()


class Deterministic(Case):
    arguments = flags(deterministic=True, benchmark=False)


class GradientsInValidation(Case):
    arguments = flags(inference_mode=False)

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            with torch.enable_grad():
                x = batch[0].requires_grad_()
                (slope,) = torch.autograd.grad(self(x).sum(), x)
            self.log("slope", slope.norm())

    def module(self) -> pl.LightningModule:
        return self.Module()


class FastDevRun(Case):
    arguments = flags(fast_dev_run=2)
    killed_in = None


class Profiled(Case):
    arguments = flags(profiler="simple")


class StoppedAfterTime(Case):
    arguments = flags(max_time="00:00:10:00")
    epochs = 2
    killed_in = (1, 0)


class LoggedNowAndThen(Case):
    arguments = flags(log_every_n_steps=3)


class DropoutAndBatchNormalisation(Case):
    """Batch normalisation and dropout: what train and eval mode make different."""

    seeded_by_epoch = True

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.layer: Any = torch.nn.Sequential(
                torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1)
            )

        def on_train_start(self) -> None:
            assert self.training

        def on_validation_model_eval(self) -> None:
            super().on_validation_model_eval()
            self.layer[2].train()  # Monte Carlo dropout

    def module(self) -> pl.LightningModule:
        return self.Module()
