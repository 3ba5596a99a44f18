"""What is under way in the middle of an epoch, beside weights and optimizers: the global generators, gradients that are
being accumulated, and the metrics of the epoch."""

from __future__ import annotations

import random
from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Final

import numpy
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torch import distributed

_SAID: Final = (
    "fx",
    "name",
    "prog_bar",
    "logger",
    "on_step",
    "on_epoch",
    "enable_graph",
    "add_dataloader_idx",
    "dataloader_idx",
    "metric_attribute",
)
"""What `self.log` was told, and Lightning holds the same in each call against."""
_TENSORS: Final = ("value", "cumulated_batch_size", "_forward_cache", "_computed")
_NUMBERS: Final = ("has_reset", "_update_count")


def generators() -> dict[str, Any]:
    """The states of the generators that Python, NumPy and PyTorch share among all."""
    state: dict[str, Any] = {
        "python": random.getstate(),
        "numpy": numpy.random.get_state(),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        if distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1:
            state["cuda_own"] = torch.cuda.get_rng_state()
        else:
            state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_generators(state: Mapping[str, Any]) -> None:
    random.setstate(state["python"])
    numpy.random.set_state(state["numpy"])
    torch.set_rng_state(state["torch"])
    if "cuda" in state:
        torch.cuda.set_rng_state_all(state["cuda"])
    if "cuda_own" in state:  # of the one GPU of this process, whichever that is now
        torch.cuda.set_rng_state(state["cuda_own"])


def reason(trainer: pl.Trainer) -> str:
    """Why the metrics of the epoch can't be saved; empty: they can."""
    results = trainer.fit_loop.epoch_loop._results.items()
    grouped = [key for key, metric in results if metric.meta.sync.group is not None]
    return f"{grouped[0]} is reduced in a process group of its own" if grouped else ""


def captured(trainer: pl.Trainer) -> dict[str, Any]:
    """Gradients and metrics, on the CPU."""
    model, loop, connector = trainer.lightning_module, trainer.fit_loop.epoch_loop, trainer._logger_connector
    gradients = {}
    if not model.automatic_optimization or loop._should_accumulate():
        named = ((name, weight.grad) for name, weight in model.named_parameters())
        gradients = {name: gradient.detach().cpu().clone() for name, gradient in named if gradient is not None}
    return {
        "gradients": gradients,
        "metrics": {key: _captured(metric) for key, metric in loop._results.items()},
        "first": connector._first_loop_iter,
        "fx": connector._current_fx,
    }


def restore(state: Mapping[str, Any], trainer: pl.Trainer) -> None:
    model, loop, connector = trainer.lightning_module, trainer.fit_loop.epoch_loop, trainer._logger_connector
    for name, weight in model.named_parameters():
        gradient = state["gradients"].get(name)
        weight.grad = None if gradient is None else gradient.to(weight.device)
    for key, metric in state["metrics"].items():
        loop._results[key] = _restored(metric, trainer)
    connector._first_loop_iter, connector._current_fx = state["first"], state["fx"]


def _captured(metric: _ResultMetric) -> dict[str, Any]:
    said = {name: getattr(metric.meta, name) for name in _SAID}
    sync = metric.meta.sync
    names = _TENSORS if metric.is_tensor else _TENSORS[2:]  # the value of another is the model's own metric
    tensors = {name: getattr(metric, name, None) for name in names}
    return {
        "said": {**said, "reduce_fx": metric.meta.reduce_fx.__name__},
        "sync": {"_should": sync.should, "rank_zero_only": sync.rank_zero_only},
        "is_tensor": metric.is_tensor,
        "tensors": {name: value.detach().cpu().clone() for name, value in tensors.items() if value is not None},
        "numbers": {name: getattr(metric, name) for name in _NUMBERS},
    }


def _restored(state: Mapping[str, Any], trainer: pl.Trainer) -> _ResultMetric:
    meta = _Metadata(**state["said"])
    meta.sync = _Sync(fn=trainer.strategy.reduce, **state["sync"])
    metric = _ResultMetric(meta, state["is_tensor"])
    if not metric.is_tensor:
        metric.value = attrgetter(str(meta.metric_attribute))(trainer.lightning_module)
    device = trainer.strategy.root_device
    metric.to(device)
    for name, value in state["tensors"].items():
        setattr(metric, name, value.to(device))
    for name, number in state["numbers"].items():
        setattr(metric, name, number)
    return metric
