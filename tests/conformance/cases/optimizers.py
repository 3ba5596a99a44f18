"""What `configure_optimizers` may give, and optimisation by hand."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import lr_scheduler

from tests.conformance.base import Case, Tiny


class _Alone(Tiny):
    """One optimizer; `schedule` gives what `configure_optimizers` gives with it."""

    def optimizer(self, lr: float = 0.05) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=lr)


class OneOptimizer(Case):
    def module(self) -> pl.LightningModule:
        return _Alone()


class ListOfOptimizers(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            return [self.optimizer()]

    def module(self) -> pl.LightningModule:
        return self.Module()


class TwoLists(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer()
            return [optimizer], [lr_scheduler.ExponentialLR(optimizer, 0.5)]

    def module(self) -> pl.LightningModule:
        return self.Module()


class DictionaryWithScheduler(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer()
            return {"optimizer": optimizer, "lr_scheduler": lr_scheduler.StepLR(optimizer, 1, gamma=0.3)}

    def module(self) -> pl.LightningModule:
        return self.Module()


class SchedulerByStep(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer()
            schedule = lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
            return [optimizer], [{"scheduler": schedule, "interval": "step", "frequency": 3}]

    def module(self) -> pl.LightningModule:
        return self.Module()


class SchedulerOnPlateau(Case):
    epochs = 4

    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer(lr=1.0)
            schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}

    def module(self) -> pl.LightningModule:
        return self.Module()


class SchedulerOnPlateauOfTraining(Case):
    """The metric is logged by the last hook of an epoch that may log."""

    class Module(_Alone):
        def on_train_epoch_end(self) -> None:
            self.log("weight", self.layer.weight.detach().abs().sum())

        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer(lr=0.5)
            schedule = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.1, patience=0)
            return [optimizer], [{"scheduler": schedule, "monitor": "weight", "frequency": 2, "strict": False}]

    def module(self) -> pl.LightningModule:
        return self.Module()


class OneCycle(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)
            steps = int(self.trainer.estimated_stepping_batches)
            schedule = lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def module(self) -> pl.LightningModule:
        return self.Module()


class SequenceOfSchedulers(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            optimizer = self.optimizer()
            warm_up = lr_scheduler.LinearLR(optimizer, 0.1, total_iters=3)
            decay = lr_scheduler.ExponentialLR(optimizer, 0.9)
            schedule = lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[3])
            return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def module(self) -> pl.LightningModule:
        return self.Module()


class ParameterGroups(Case):
    class Module(_Alone):
        def configure_optimizers(self) -> Any:
            groups = [{"params": [self.layer.weight], "lr": 0.1}, {"params": [self.layer.bias], "weight_decay": 0.1}]
            return torch.optim.AdamW(groups, lr=0.01)

    def module(self) -> pl.LightningModule:
        return self.Module()


class NoOptimizer(Case):
    class Module(Tiny):
        def configure_optimizers(self) -> Any:
            return None

    def module(self) -> pl.LightningModule:
        return self.Module()


class LimitedMemoryBFGS(Case):
    """Calls its closure several times a step."""

    class Module(Tiny):
        def configure_optimizers(self) -> Any:
            return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=3)

    def module(self) -> pl.LightningModule:
        return self.Module()


class ManualOptimisation(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer: Any = self.optimizers()
            optimizer.zero_grad()
            loss = self.loss(batch)
            self.manual_backward(loss)
            self.clip_gradients(optimizer, gradient_clip_val=0.2)
            optimizer.step()
            self.log("train_loss", loss)
            if self.trainer.is_last_batch:
                schedule: Any = self.lr_schedulers()
                schedule.step()

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
            return [optimizer], [lr_scheduler.ExponentialLR(optimizer, 0.5)]

    def module(self) -> pl.LightningModule:
        return self.Module()


class _TwoPlayers(Tiny):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.critic = torch.nn.Linear(1, 1)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        x, y = batch
        player: Any
        critic: Any
        player, critic = self.optimizers()  # type: ignore[misc]
        with self.toggled_optimizer(player):
            loss = (self(x) - y).square().mean() - 0.1 * self.critic(self(x)).mean()
            player.zero_grad()
            self.manual_backward(loss)
            player.step()
        self.toggle_optimizer(critic)
        judged = (self.critic(self(x).detach()) - self.critic(y)).square().mean()
        critic.zero_grad()
        self.manual_backward(judged)
        critic.step()
        self.untoggle_optimizer(critic)
        self.log_dict({"player": loss, "critic": judged})


class SeveralOptimizersByHand(Case):
    class Module(_TwoPlayers):
        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.layer.parameters(), 0.1), torch.optim.SGD(self.critic.parameters(), 0.1)

    def module(self) -> pl.LightningModule:
        return self.Module()


class SeveralDictionaries(Case):
    class Module(_TwoPlayers):
        def configure_optimizers(self) -> Any:
            first = torch.optim.Adam(self.layer.parameters(), 0.1)
            second = torch.optim.SGD(self.critic.parameters(), 0.1)
            return {"optimizer": first, "lr_scheduler": lr_scheduler.StepLR(first, 1)}, {"optimizer": second}

        def on_train_epoch_end(self) -> None:
            schedule: Any = self.lr_schedulers()
            schedule.step()

    def module(self) -> pl.LightningModule:
        return self.Module()


class UnwrappedOptimizerByHand(Case):
    """Lightning counts no step of an optimizer that is taken out of its wrapper."""

    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer: Any = self.optimizers(use_pl_optimizer=False)
            optimizer.zero_grad()
            loss = self.loss(batch)
            self.manual_backward(loss)
            optimizer.step()
            self.log("train_loss", loss)

    def module(self) -> pl.LightningModule:
        return self.Module()


class AccumulatedByHand(Case):
    class Module(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer: Any = self.optimizers()
            self.manual_backward(self.loss(batch) / 2)
            if (batch_idx + 1) % 2 == 0:
                optimizer.step()
                optimizer.zero_grad()

    def module(self) -> pl.LightningModule:
        return self.Module()
