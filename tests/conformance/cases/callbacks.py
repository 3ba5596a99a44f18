"""Lightning's own callbacks, and callbacks that a user writes."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    LambdaCallback,
    LearningRateMonitor,
    ModelPruning,
    StochasticWeightAveraging,
    Timer,
    WeightAveraging,
)
from torch.optim import lr_scheduler
from torch.optim.swa_utils import get_ema_avg_fn

from tests.conformance.base import Case, Tiny, flags


class StoppedEarly(Case):
    epochs = 8

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("val_loss", (1.0, 0.5, 0.6, 0.7, 0.8, 0.1, 0.1, 0.1)[self.current_epoch])

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [EarlyStopping("val_loss", patience=2)]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        stopping: Any = trainer.early_stopping_callback
        return stopping.stopped_epoch, float(stopping.best_score)


class StoppedEarlyWithinAnEpoch(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [EarlyStopping("train_loss", divergence_threshold=0.0, check_on_train_epoch_end=True)]

    killed_in = None


class LearningRatesLogged(Case):
    class Module(Tiny):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
            schedule = {"scheduler": lr_scheduler.ExponentialLR(optimizer, 0.5), "name": "rate"}
            return [optimizer], [schedule]

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [LearningRateMonitor("step", log_momentum=True)]


class LearningRatesLoggedByEpoch(Case):
    module = LearningRatesLogged.module
    Module = LearningRatesLogged.Module

    def callbacks(self) -> list[pl.Callback]:
        return [LearningRateMonitor("epoch")]


class WeightsAveragedAtTheEnd(Case):
    """SWA swaps the weights in `on_train_end`."""

    epochs = 4
    killed_in = (3, 1)
    stages = ("test",)

    def callbacks(self) -> list[pl.Callback]:
        return [StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=2, annealing_epochs=1)]


class WeightsAveraged(Case):
    stages = ("test",)

    def callbacks(self) -> list[pl.Callback]:
        return [WeightAveraging()]


class WeightsAveragedExponentially(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [WeightAveraging(avg_fn=get_ema_avg_fn(0.8))]


class EMAWithAStart(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [EMAWeightAveraging(decay=0.9, update_every_n_steps=2, update_starting_at_step=3)]


class AccumulationByEpoch(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [GradientAccumulationScheduler({0: 1, 1: 2, 2: 4})]


class _TwoLayers(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))

    def forward(self, x: Any) -> Any:
        return self.layer(self.backbone(x))


class FrozenForAnEpoch(Case):
    killed_in = (2, 1)

    class Unfreeze(BaseFinetuning):
        def freeze_before_training(self, pl_module: Any) -> None:
            self.freeze(pl_module.backbone)

        def finetune_function(self, pl_module: Any, epoch: int, optimizer: Any) -> None:
            if epoch == 1:
                self.unfreeze_and_add_param_group(pl_module.backbone, optimizer, lr=0.01)

    class Module(_TwoLayers):
        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(filter(lambda each: each.requires_grad, self.parameters()), lr=0.05)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [self.Unfreeze()]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return [weight.requires_grad for weight in model.parameters()]


class FrozenBackbone(Case):
    epochs = 4
    killed_in = (2, 1)
    Module = FrozenForAnEpoch.Module
    module = FrozenForAnEpoch.module
    observed = FrozenForAnEpoch.observed

    def callbacks(self) -> list[pl.Callback]:
        return [BackboneFinetuning(unfreeze_backbone_at_epoch=1, backbone_initial_lr=0.001, verbose=False)]


class TimeKept(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [Timer(duration={"minutes": 10})]


class Lambdas(Case):
    def callbacks(self) -> list[pl.Callback]:
        return [LambdaCallback(on_train_epoch_start=lambda trainer, model: model.layer.bias.data.mul_(0.5))]


class Pruned(Case):
    differs_resumed = "ModelPruning saves no masks, so that a restart prunes anew; Lightning's, too"

    def callbacks(self) -> list[pl.Callback]:
        return [
            ModelPruning("l1_unstructured", parameters_to_prune=None, amount=0.3, use_lottery_ticket_hypothesis=False)
        ]


class CallbackWithState(Case):
    class Count(pl.Callback):
        def __init__(self) -> None:
            self.batches = 0

        def state_dict(self) -> dict[str, Any]:
            return {"batches": self.batches}

        def load_state_dict(self, state_dict: dict[str, Any]) -> None:
            self.batches = state_dict["batches"]

        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.batches += 1
            pl_module.log("batches", float(self.batches))

    def callbacks(self) -> list[pl.Callback]:
        return [self.Count()]


class TwoOfAKind(Case):
    """Callbacks of one class are told apart by their `state_key`."""

    class Count(CallbackWithState.Count):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        @property
        def state_key(self) -> str:
            return f"Count[{self.name}]"

        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.batches += 1 if self.name == "one" else batch_idx
            pl_module.log(self.name, float(self.batches))

    def callbacks(self) -> list[pl.Callback]:
        return [self.Count("one"), self.Count("two")]


class CallbacksOfTheModel(Case):
    class Module(Tiny):
        def configure_callbacks(self) -> Any:
            return [EarlyStopping("val_loss", patience=1), LearningRateMonitor()]

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [EarlyStopping("val_loss", patience=9)]

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        stopping: Any = trainer.early_stopping_callbacks
        return [each.patience for each in stopping]


class StoppedByACallback(Case):
    class Stop(pl.Callback):
        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            trainer.should_stop = trainer.global_step >= 6

    def callbacks(self) -> list[pl.Callback]:
        return [self.Stop()]


class AllHooksOfACallback(Case):
    stages = ("test", "predict")
    arguments = flags(num_sanity_val_steps=1)

    class Module(Tiny):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return self(batch[0])

    def module(self) -> pl.LightningModule:
        return self.Module()

    def callbacks(self) -> list[pl.Callback]:
        return [pl.Callback()]


class PredictionsWritten(Case):
    stages = ("test", "predict")
    Module = AllHooksOfACallback.Module
    module = AllHooksOfACallback.module

    class Writer(BasePredictionWriter):
        def write_on_batch_end(
            self,
            trainer: pl.Trainer,
            pl_module: Any,
            prediction: Any,
            batch_indices: Any,
            batch: Any,
            batch_idx: int,
            dataloader_idx: int,
        ) -> None:
            assert batch_indices == list(range(4 * batch_idx, 4 * batch_idx + 4))
            pl_module.seen = prediction

    def callbacks(self) -> list[pl.Callback]:
        return [self.Writer("batch")]
