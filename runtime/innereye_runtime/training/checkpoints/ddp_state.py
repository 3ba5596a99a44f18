"""What PyTorch's DistributedDataParallel keeps from batch to batch beside the model.

It reduces gradients in buckets, and arranges them anew after the first backward pass, by the order in which gradients
come. With three processes or more, the place of a gradient in its bucket decides in which order it is summed, and so
its last bits: a process that resumes arranges its buckets as they were before its first batch.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

log = logging.getLogger("innereye_runtime")


def reason_against(trainer: pl.Trainer) -> str:
    """Why the middle of an epoch of these processes can't be saved; empty: it can."""
    strategy: Any = trainer.strategy
    if trainer.world_size == 1:
        return ""
    if type(strategy) is not DDPStrategy:
        return f"{type(strategy).__name__} trains them"
    if not distributed.is_gloo_available():
        return "this PyTorch has no gloo"
    if strategy._ddp_comm_hook is not None or strategy._ddp_comm_state is not None:
        return "a communication hook of DDP has a state of its own"
    if trainer.world_size > 2 and strategy._ddp_kwargs.get("static_graph"):
        return "the buckets of a static graph can't be arranged as they were"
    return ""


def reason_of_optimizers(trainer: pl.Trainer) -> str:
    """Why the state of the optimizers is not that of each process; empty: it is."""
    sharded = [each for each in trainer.optimizers if hasattr(each, "consolidate_state_dict")]
    if sharded:
        return f"{type(sharded[0]).__name__} shares its state out between the processes"
    ddp = _ddp(trainer)
    if trainer.world_size > 2 and ddp is not None and any(ddp._build_params_for_reducer()[1]):
        return "the buckets of sparse gradients can't be arranged as they were"
    return ""


def buckets(trainer: pl.Trainer) -> list[int]:
    """The order of the parameters in the buckets, as numbers; empty where they are those that DDP begins with. All
    processes call it together."""
    ddp = _ddp(trainer)
    if ddp is None:
        return []
    if ddp.reducer._rebuild_buckets():  # what the next batch would begin with
        ddp._has_rebuilt_buckets = True
        ddp.logger.set_runtime_stats_and_log()
    given = str(ddp._get_ddp_logging_data().get("rebuilt_per_bucket_param_indices", ""))
    return [int(each) for each in given.replace(",", " ").split()]


def arrange_buckets(trainer: pl.Trainer, order: list[int]) -> None:
    """Lets DDP make the buckets that `buckets` returned. All processes call it together, before the first batch."""
    ddp = _ddp(trainer)
    if ddp is None or not order:
        return
    parameters, sparse = ddp._build_params_for_reducer()
    steps = any(getattr(each, "_post_accumulate_grad_hooks", None) for each in parameters)  # with each gradient
    if len(order) != len(parameters) or steps or any(sparse) or ddp.static_graph or ddp.find_unused_parameters:
        if trainer.world_size > 2 and trainer.is_global_zero:
            log.warning(
                "warning: DDP sums the gradients of the first batch in another order than before: a run that resumes "
                "may differ in the last bits"
            )
        return
    gradients = [each.grad for each in parameters]
    ddp.reducer.prepare_for_forward()
    ddp.reducer.prepare_for_backward([])
    with torch.enable_grad():
        for number in order:  # DDP notes the order in which gradients come
            (parameters[number].sum() * 0).backward()
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    ddp.reducer._rebuild_buckets()
    ddp._has_rebuilt_buckets = True


def captured(trainer: pl.Trainer) -> dict[str, Any]:
    """The buffers of this process, such as running statistics, and whether the next forward pass begins with those of
    the first one: not after one without gradients, or one whose gradients are accumulated."""
    ddp = _ddp(trainer)
    if ddp is None:
        return {}
    buffers = {name: each.detach().to("cpu", copy=True) for name, each in trainer.lightning_module.named_buffers()}
    return {"buffers": buffers, "syncs": bool(ddp.require_forward_param_sync)}


def lost_buffers(trainer: pl.Trainer) -> list[str]:
    """What differs between the processes and is not in a checkpoint between two epochs, which has the buffers of the
    first one: DDP gives them to all with the next batch, unless `broadcast_buffers` is off."""
    ddp = _ddp(trainer)
    if ddp is None or ddp.broadcast_buffers or not ddp.modules_buffers:
        return []
    return ["the copy of the buffers in each rank but the first (broadcast_buffers=False)"]


def restore(state: Mapping[str, Any], trainer: pl.Trainer) -> None:
    ddp = _ddp(trainer)
    if ddp is None or not state:
        return
    for name, buffer in trainer.lightning_module.named_buffers():
        if name in state["buffers"]:
            with torch.no_grad():
                buffer.copy_(state["buffers"][name])
    ddp.require_forward_param_sync = state["syncs"]


def _ddp(trainer: pl.Trainer) -> Any:
    model = trainer.strategy.model
    return model if isinstance(model, DistributedDataParallel) else None
