"""`LightningModuleWithOptimizer`: a LightningModule whose optimizer and schedule come from the container's
parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from innereye_runtime.api.params.optimizer_params import OptimizerParams, OptimizerType
from innereye_runtime.api.params.trainer_params import TrainerParams
from innereye_runtime.api.schedules import Schedule


class LightningModuleWithOptimizer(pl.LightningModule):
    """A module that need not say how it is optimised. The container hands over its parameters when it creates the
    model."""

    _optimizer_params: OptimizerParams | None = None
    _trainer_params: TrainerParams | None = None

    def set_optimizer_and_trainer_parameters(
        self, optimizer_params: OptimizerParams, trainer_params: TrainerParams
    ) -> None:
        """Sets what `configure_optimizers` goes by."""
        self._optimizer_params = optimizer_params
        self._trainer_params = trainer_params

    @property
    def optimizer_params(self) -> OptimizerParams:
        """The parameters handed over. Raises RuntimeError before that."""
        if self._optimizer_params is None:
            raise RuntimeError(f"{type(self).__name__} got no OptimizerParams: a LightningContainer hands them over")
        return self._optimizer_params

    @property
    def trainer_params(self) -> TrainerParams:
        """The parameters handed over. Raises RuntimeError before that."""
        if self._trainer_params is None:
            raise RuntimeError(f"{type(self).__name__} got no TrainerParams: a LightningContainer hands them over")
        return self._trainer_params

    def configure_optimizers(self) -> Any:
        """The optimizer, and its schedule stepped once per epoch."""
        optimizer = create_optimizer(self.optimizer_params, self.parameters())
        scheduler = create_scheduler(self.optimizer_params, optimizer, self.trainer_params.num_epochs)
        return [optimizer], [{"scheduler": scheduler, "interval": "epoch"}]


def create_optimizer(params: OptimizerParams, weights: Iterable[torch.nn.Parameter]) -> Optimizer:
    """The optimizer that `params` ask for, over those of `weights` that are trained."""
    trained = [weight for weight in weights if weight.requires_grad]
    match params.optimizer_type:
        case OptimizerType.Adam | OptimizerType.AMSGrad:
            return torch.optim.Adam(
                trained,
                lr=params.l_rate,
                betas=(params.adam_betas[0], params.adam_betas[1]),
                eps=params.opt_eps,
                weight_decay=params.weight_decay,
                amsgrad=params.optimizer_type == OptimizerType.AMSGrad,
            )
        case OptimizerType.SGD:
            return torch.optim.SGD(
                trained, lr=params.l_rate, momentum=params.momentum, weight_decay=params.weight_decay
            )
        case _:
            return torch.optim.RMSprop(
                trained,
                lr=params.l_rate,
                alpha=params.rms_alpha,
                eps=params.opt_eps,
                weight_decay=params.weight_decay,
                momentum=params.momentum,
            )


def create_scheduler(params: OptimizerParams, optimizer: Optimizer, num_epochs: int) -> LRScheduler:
    """The schedule of `params` over `num_epochs`, to be stepped once per epoch. Its state is the epoch, and nothing
    else."""
    schedule = Schedule(parameters=params, num_epochs=num_epochs)
    # A function and not the bound method: the scheduler's state_dict would keep the state of any other callable.
    return LambdaLR(optimizer, lambda epoch: schedule.factor(epoch))
