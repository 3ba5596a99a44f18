"""`OptimizerParams`: the optimizer, the learning rate and its schedule."""

from __future__ import annotations

from enum import Enum

import param

from innereye_runtime.api.params.generic_config import GenericConfig
from innereye_runtime.parameters import constraints


class LRSchedulerType(Enum):
    """How the learning rate falls after the warm-up. Closed forms stand in `schedulers`."""

    Exponential = "Exponential"
    Step = "Step"
    Polynomial = "Polynomial"
    Cosine = "Cosine"
    MultiStep = "MultiStep"


class LRWarmUpType(Enum):
    """How the learning rate rises in the first epochs."""

    NoWarmUp = "NoWarmUp"
    Linear = "Linear"


class OptimizerType(Enum):
    """The optimizers of PyTorch; AMSGrad is Adam with `amsgrad`."""

    Adam = "Adam"
    AMSGrad = "AMSGrad"
    SGD = "SGD"
    RMSprop = "RMSprop"


class OptimizerParams(GenericConfig):
    """The optimizer, the learning rate and its schedule, as `LightningModuleWithOptimizer` uses them."""

    l_rate = param.Number(1e-4, bounds=(0, None), doc="The learning rate, at the start or after the warm-up.")
    min_l_rate = param.Number(
        0.0, bounds=(0.0, None), doc="The learning rate that Polynomial and Cosine end at; at most l_rate."
    )
    l_rate_scheduler = param.ClassSelector(
        class_=LRSchedulerType,
        default=LRSchedulerType.Polynomial,
        instantiate=False,
        doc="How the learning rate falls, epoch by epoch.",
    )
    l_rate_exponential_gamma = param.Number(0.9, doc="Exponential: factor of each epoch.")
    l_rate_step_gamma = param.Number(0.1, doc="Step: factor of each step.")
    l_rate_step_step_size = param.Integer(
        50, bounds=(0, None), inclusive_bounds=(False, True), doc="Step: epochs between steps."
    )
    l_rate_multi_step_gamma = param.Number(0.1, doc="MultiStep: factor at each milestone.")
    l_rate_multi_step_milestones = param.List(
        None,
        item_type=int,
        allow_None=True,
        doc="MultiStep: epochs at which the learning rate falls, rising.",
    )
    l_rate_polynomial_gamma = param.Number(1e-4, doc="Polynomial: the exponent.")
    l_rate_warmup = param.ClassSelector(
        class_=LRWarmUpType,
        default=LRWarmUpType.NoWarmUp,
        instantiate=False,
        doc="How the learning rate rises at first.",
    )
    l_rate_warmup_epochs = param.Integer(0, bounds=(0, None), doc="Epochs of the warm-up.")
    optimizer_type = param.ClassSelector(
        class_=OptimizerType, default=OptimizerType.Adam, instantiate=False, doc="The optimizer."
    )
    opt_eps = param.Number(1e-4, doc="Adam, AMSGrad, RMSprop: what keeps the denominator from zero.")
    rms_alpha = param.Number(0.9, doc="RMSprop: the smoothing constant.")
    adam_betas = param.NumericTuple((0.9, 0.999), length=2, doc="Adam, AMSGrad: decay rates of the two moments.")
    momentum = param.Number(0.6, doc="SGD, RMSprop: the momentum.")
    weight_decay = param.Number(1e-4, doc="The weight decay (L2 penalty).")

    def validate(self) -> None:
        super().validate()
        constraints.enforce(self, constraints.OPTIMIZER)
