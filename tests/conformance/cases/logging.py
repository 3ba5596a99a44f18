"""`self.log` in all its forms, metrics of torchmetrics, hyperparameters and loggers."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
import torchmetrics

from tests.conformance.base import Case, Tiny


class ByStepAndByEpoch(Case):
    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.log("loss", loss, on_step=True, on_epoch=True, prog_bar=True)
            self.log("epoch_only", loss, on_step=False, on_epoch=True)
            self.log("bar_only", loss, prog_bar=True, logger=False)
            return loss

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("val", self.loss(batch), on_step=True, on_epoch=True)

    def module(self) -> pl.LightningModule:
        return self.Module()

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return dict(trainer.progress_bar_metrics)


class Reduced(Case):
    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.log("most", loss, on_step=False, on_epoch=True, reduce_fx="max")
            self.log("least", loss, on_step=False, on_epoch=True, reduce_fx=torch.min)
            self.log("sum", loss, on_step=False, on_epoch=True, reduce_fx="sum")
            return loss

    def module(self) -> pl.LightningModule:
        return self.Module()


class SeveralAtOnce(Case):
    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.log_dict({"a": loss, "b/c": 2 * loss, "whole": batch_idx}, on_epoch=True, batch_size=batch_idx + 1)
            return loss

    def module(self) -> pl.LightningModule:
        return self.Module()


class MetricObjects(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.error = torchmetrics.MeanAbsoluteError()
            self.val_error = torchmetrics.MeanSquaredError()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            self.error(self(batch[0]), batch[1])
            self.log("error", self.error, on_step=True, on_epoch=True)
            return self.loss(batch)

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.val_error.update(self(batch[0]), batch[1])
            self.log("val_error", self.val_error)

    def module(self) -> pl.LightningModule:
        return self.Module()


class MetricCollections(Case):
    stages = ("test",)

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            kinds = [torchmetrics.MeanAbsoluteError(), torchmetrics.MeanSquaredError()]
            self.val = torchmetrics.MetricCollection(kinds, prefix="val/")
            self.tests = self.val.clone(prefix="test/")

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.val.update(self(batch[0]), batch[1])

        def on_validation_epoch_end(self) -> None:
            self.log_dict(self.val.compute())
            self.val.reset()

        def test_step(self, batch: Any, batch_idx: int) -> Any:
            self.log_dict(self.tests(self(batch[0]), batch[1]), on_step=False, on_epoch=True)

    def module(self) -> pl.LightningModule:
        return self.Module()


class MetricThatIsNeverReset(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.mean = torchmetrics.MeanMetric()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = self.loss(batch)
            self.mean.update(loss.detach())
            return loss

        def on_train_epoch_end(self) -> None:
            self.log("running_mean", self.mean.compute())

    def module(self) -> pl.LightningModule:
        return self.Module()


class LoggedFromEverywhere(Case):
    class Module(Tiny):
        def on_train_epoch_start(self) -> None:
            self.log("epoch_start", float(self.current_epoch))

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            self.log("batch_start", float(batch_idx))

        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.log("batch_end", outputs["loss"], on_epoch=True)

        def on_train_epoch_end(self) -> None:
            self.log("epoch_end", self.layer.bias.detach().sum())

        def on_validation_start(self) -> None:
            self.log("val_start", 2.0)

        def on_validation_epoch_end(self) -> None:
            self.log("val_end", self.layer.bias.detach().sum())

    def module(self) -> pl.LightningModule:
        return self.Module()


class LoggedAtTheStart(Case):
    differs_resumed = "on_train_start is called by each attempt, so what it logs is logged again; Lightning's, too"

    class Module(Tiny):
        def on_train_start(self) -> None:
            self.log("at_start", 1.0)

    def module(self) -> pl.LightningModule:
        return self.Module()


class LoggedByACallback(Case):
    class Watch(pl.Callback):
        def on_train_batch_end(
            self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
        ) -> None:
            self.log("watched", outputs["loss"], on_epoch=True)

        def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
            pl_module.log("val_watched", pl_module.layer.weight.detach().norm())

    def callbacks(self) -> list[pl.Callback]:
        return [self.Watch()]


class ThroughTheLoggers(Case):
    """Rows that the model gives to its loggers itself, with a step of its own and without one."""

    class Module(Tiny):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            if batch_idx == 0:
                for each in self.loggers:
                    each.log_metrics({"own": float(outputs["loss"])}, step=self.global_step)

    def module(self) -> pl.LightningModule:
        return self.Module()


class StepAsAMetric(Case):
    """A metric called `step` is where Lightning puts a row."""

    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("val_loss", self.loss(batch))
            self.log("step", float(self.current_epoch))

    def module(self) -> pl.LightningModule:
        return self.Module()


class HyperparametersSaved(Case):
    class Module(Tiny):
        def __init__(self, width: int = 3, names: tuple[str, ...] = ("a", "b"), hidden: int = 9) -> None:
            super().__init__()
            self.save_hyperparameters(ignore="hidden")
            self.save_hyperparameters({"more": 2})

    def module(self) -> pl.LightningModule:
        return self.Module(width=4)

    def observed(self, trainer: pl.Trainer, model: Any) -> Any:
        return dict(model.hparams)


class ExampleInput(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.example_input_array = torch.ones(1, 3)

    def module(self) -> pl.LightningModule:
        return self.Module()


class NotANumber(Case):
    class Module(Tiny):
        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            self.log("val_loss", self.loss(batch))
            self.log("nothing", float("nan") if self.current_epoch else float("inf"))

    def module(self) -> pl.LightningModule:
        return self.Module()
