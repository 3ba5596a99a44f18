"""Hooks of a model that take over a part of the optimisation, and flags that do the same."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import lr_scheduler

from tests.conformance.base import Case, Tiny, flags


class ClippedByNorm(Case):
    arguments = flags(gradient_clip_val=0.1)


class ClippedByValue(Case):
    arguments = flags(gradient_clip_val=0.05, gradient_clip_algorithm="value")


class OwnClipping(Case):
    class Module(Tiny):
        def configure_gradient_clipping(
            self,
            optimizer: Any,
            gradient_clip_val: Any = None,
            gradient_clip_algorithm: Any = None,
        ) -> None:
            if self.current_epoch > 0:
                self.clip_gradients(optimizer, 0.3 / self.current_epoch, "norm")

    def module(self) -> pl.LightningModule:
        return self.Module()


class OwnBackward(Case):
    class Module(Tiny):
        def backward(self, loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
            (2 * loss).backward()

    def module(self) -> pl.LightningModule:
        return self.Module()


class OwnOptimizerStep(Case):
    """A warm-up."""

    class Module(Tiny):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            optimizer.step(closure=optimizer_closure)
            for group in optimizer.param_groups:
                group["lr"] = 0.05 * min(1.0, (self.trainer.global_step + 1) / 6)

    def module(self) -> pl.LightningModule:
        return self.Module()


class OptimizerStepNowAndThen(Case):
    class Module(Tiny):
        def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
            if batch_idx % 2 == 0:
                optimizer.step(closure=optimizer_closure)
            else:
                optimizer_closure()

    def module(self) -> pl.LightningModule:
        return self.Module()


class OwnZeroGrad(Case):
    class Module(Tiny):
        def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Any) -> None:
            optimizer.zero_grad(set_to_none=False)

    def module(self) -> pl.LightningModule:
        return self.Module()


class OwnSchedulerStep(Case):
    class Module(Tiny):
        def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
            scheduler.step(epoch=self.current_epoch // 2)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
            return [optimizer], [lr_scheduler.StepLR(optimizer, 1, gamma=0.1)]

    def module(self) -> pl.LightningModule:
        return self.Module()


class GradientsLooked(Case):
    """Hooks around backward and the step see the gradients, and change them."""

    class Module(Tiny):
        def on_before_backward(self, loss: torch.Tensor) -> None:
            self.log("scaled", 2 * loss.detach())

        def on_after_backward(self) -> None:
            for weight in self.parameters():
                assert weight.grad is not None
                weight.grad.mul_(0.5)

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            assert self.layer.weight.grad is not None
            self.log("gradient", self.layer.weight.grad.norm())

        def on_before_zero_grad(self, optimizer: Any) -> None:
            self.log("before_zero", float(self.layer.bias.grad is None))

    def module(self) -> pl.LightningModule:
        return self.Module()


class NothingReturnedSometimes(Case):
    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return None if batch_idx % 2 else super().training_step(batch, batch_idx)

    def module(self) -> pl.LightningModule:
        return self.Module()


class EpochCutShort(Case):
    class Module(Tiny):
        def on_train_batch_start(self, batch: Any, batch_idx: int) -> Any:
            return -1 if batch_idx == 2 else None

    def module(self) -> pl.LightningModule:
        return self.Module()


class DictionaryReturned(Case):
    class Module(Tiny):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            x, _ = batch
            return {"loss": self.loss(batch), "predicted": self(x).detach()}

        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            self.log("mean", outputs["predicted"].mean())

        def validation_step(self, batch: Any, batch_idx: int) -> Any:
            return {"val": self.loss(batch)}

        def on_validation_batch_end(self, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
            self.log("val_loss", outputs["val"])

    def module(self) -> pl.LightningModule:
        return self.Module()


class StepFromAnIterator(Case):
    """`dataloader_iter` in place of a batch."""

    class Module(Tiny):
        def training_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]
            batch, _, _ = next(dataloader_iter)
            loss = self.loss(batch)
            self.log("train_loss", loss, batch_size=4)
            return loss

    def module(self) -> pl.LightningModule:
        return self.Module()
