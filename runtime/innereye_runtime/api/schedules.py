"""The learning rate of every epoch, in closed form. No state: epoch 7 of a restarted run is epoch 7."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from innereye_runtime.api.params.optimizer_params import LRSchedulerType, LRWarmUpType

if TYPE_CHECKING:
    from innereye_runtime.api.params.optimizer_params import OptimizerParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The schedule of `parameters` over `num_epochs` epochs, the warm-up being the first ones."""

    parameters: OptimizerParams
    num_epochs: int

    @property
    def warmup_epochs(self) -> int:
        return (
            0 if self.parameters.l_rate_warmup == LRWarmUpType.NoWarmUp else int(self.parameters.l_rate_warmup_epochs)
        )

    def factor(self, epoch: int) -> float:
        """The learning rate of `epoch` (from 0), divided by `l_rate`."""
        warmup = self.warmup_epochs
        if epoch < warmup:
            return (epoch + 1) / (warmup + 1)
        return self._factor_after_warmup(epoch - warmup, max(self.num_epochs - warmup, 1))

    def _factor_after_warmup(self, epoch: int, epochs: int) -> float:
        p = self.parameters
        floor = p.min_l_rate / p.l_rate if p.l_rate else 0.0
        rest = max(1 - epoch / epochs, 0.0)
        match p.l_rate_scheduler:
            case LRSchedulerType.Exponential:
                return float(p.l_rate_exponential_gamma**epoch)
            case LRSchedulerType.Step:
                return float(p.l_rate_step_gamma ** (epoch // p.l_rate_step_step_size))
            case LRSchedulerType.MultiStep:
                passed = sum(milestone <= epoch for milestone in p.l_rate_multi_step_milestones or ())
                return float(p.l_rate_multi_step_gamma**passed)
            case LRSchedulerType.Cosine:
                return floor + (1 - floor) * (1 - math.cos(math.pi * rest)) / 2
            case _:
                return float((1 - floor) * rest**p.l_rate_polynomial_gamma + floor)
