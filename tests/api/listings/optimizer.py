"""The optimizer and the schedule of the container, on a module that says nothing about either."""

import torch
from pytorch_lightning import LightningDataModule, LightningModule

from InnerEye.ML.deep_learning_config import LRSchedulerType, LRWarmUpType, OptimizerType
from InnerEye.ML.lightning_container import LightningContainer, LightningModuleWithOptimizer

from ._common import Line, LineSteps


class Scheduled(LineSteps, LightningModuleWithOptimizer):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)


class WithScheduler(LightningContainer):
    def __init__(self, **kwargs) -> None:
        super().__init__(num_epochs=8, l_rate=1e-1, **kwargs)
        self.optimizer_type = OptimizerType.SGD
        self.l_rate_scheduler = LRSchedulerType.MultiStep
        self.l_rate_multi_step_milestones = [2, 4]
        self.l_rate_warmup = LRWarmUpType.Linear
        self.l_rate_warmup_epochs = 2

    def create_model(self) -> LightningModule:
        return Scheduled()

    def get_data_module(self) -> LightningDataModule:
        return Line()


class WithCosine(WithScheduler):
    """A container that builds on another one, and changes what that one set."""

    def __init__(self) -> None:
        super().__init__(weight_decay=0.0, min_l_rate=1e-3)
        self.l_rate_scheduler = LRSchedulerType.Cosine
