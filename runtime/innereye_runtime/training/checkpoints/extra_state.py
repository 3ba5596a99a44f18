"""What a run carries from epoch to epoch beyond Lightning's own state: the user's generators, metrics that go on, and
what of the model is frozen.

The first two are looked for in what the user made: data loaders with their datasets and samplers, data module, model.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from functools import partial
from types import ModuleType
from typing import Any, Final

import numpy
import torch
from pytorch_lightning import Trainer
from torchmetrics import Metric

_MOST: Final = 100_000
"""Objects that are looked at; more of them are data."""
_LONGEST: Final = 100
"""Of a list or a dict; a longer one is data."""
_STATISTICS: Final = "track_running_stats"
_OPAQUE: Final = (Trainer, torch.Tensor, numpy.ndarray, str, bytes, int, float, type, ModuleType)
_NOT_LOOKED_AT: Final = frozenset(("_iterator",)) | vars(torch.nn.Module()).keys() - {"training"}
"""Of a module its tensors and hooks (what is below it is looked at by name), of a data loader the iterator that is
running."""

_Kind = tuple[type, Callable[[Any], Any], Callable[[Any, Any], object]]
_KINDS: Final[tuple[_Kind, ...]] = (
    (torch.Generator, lambda own: own.get_state(), lambda own, state: own.set_state(state)),
    (
        numpy.random.Generator,
        lambda own: own.bit_generator.state,
        lambda own, state: setattr(own.bit_generator, "state", state),
    ),
    (numpy.random.RandomState, lambda own: own.get_state(), lambda own, state: own.set_state(state)),
    (random.Random, lambda own: own.getstate(), lambda own, state: own.setstate(state)),
    (Metric, lambda own: _metric_state(own), lambda own, state: _set_metric_state(own, state)),
)
"""What is carried: its type, how its state is read, and how it is put back."""
CARRIED_TYPES: Final = tuple(kind for kind, _, _ in _KINDS)


def roots_of(trainer: Trainer) -> dict[str, Any]:
    """What the user made and training draws from."""
    made = {"train_dataloader": trainer.train_dataloader, "data": getattr(trainer, "datamodule", None)}
    # The last: what training shares with validation keeps its first name.
    return {**made, "model": trainer.lightning_module, "val_dataloaders": trainer.val_dataloaders}


def states(roots: Mapping[str, Any]) -> dict[str, Any]:
    """The state of all that is found below `roots`, by the path to it."""
    found = {path: _kind(value)[0](value) for path, value in _found(roots)}
    return {path: deepcopy(state) for path, state in found.items() if state is not None}


def restore(carried: Mapping[str, Any], roots: Mapping[str, Any]) -> list[str]:
    """Puts the states of `states` back, and returns the paths of those whose object isn't there any more."""
    found = dict(_found(roots))
    for path in carried.keys() & found.keys():
        _kind(found[path])[1](found[path], deepcopy(carried[path]))
    return [path for path in carried if path not in found]


def captured_frozen(model: torch.nn.Module) -> list[str]:
    """The names of the parameters that are not trained, and of the layers whose running statistics stand still."""
    weights = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    return [*weights, *(name for name, layer in model.named_modules() if not getattr(layer, _STATISTICS, True))]


def freeze(model: torch.nn.Module, names: Collection[str]) -> None:
    """Trains all of the model but `names`, as `captured_frozen` gives them."""
    for name, weight in model.named_parameters():
        weight.requires_grad = name not in names
    for name, layer in model.named_modules():
        if hasattr(layer, _STATISTICS):
            setattr(layer, _STATISTICS, name not in names)


def _kind(value: Any) -> tuple[Callable[[Any], Any], Callable[[Any, Any], object]]:
    return next((read, write) for kind, read, write in _KINDS if isinstance(value, kind))


def _found(roots: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((path, value) for path, value in walk(roots) if isinstance(value, CARRIED_TYPES))


def walk(roots: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each object at and below `roots` once, by the first path to it, the nearest first, however deep it lies."""
    pending = deque(roots.items())
    seen: set[int] = set()
    while pending and len(seen) < _MOST:
        path, value = pending.popleft()
        if id(value) in seen or isinstance(value, _OPAQUE):
            continue
        seen.add(id(value))
        yield path, value
        if not isinstance(value, CARRIED_TYPES):
            pending += ((f"{path}.{name}", child) for name, child in _children(value))


def _children(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, torch.nn.Module):
        yield from value.named_children()
    if isinstance(value, partial):
        yield from (("args", value.args), ("keywords", value.keywords))
    elif isinstance(value, list | tuple):
        yield from enumerate(value if len(value) <= _LONGEST else ())
    elif isinstance(value, dict):
        yield from value.items() if len(value) <= _LONGEST else ()
    elif hasattr(value, "__dict__"):
        yield from ((name, child) for name, child in vars(value).items() if name not in _NOT_LOOKED_AT)


def _metric_state(metric: Metric) -> dict[str, Any] | None:
    """None where it has been reset, as one that Lightning logs is at the end of an epoch."""
    if not metric._update_count:
        return None
    return {"updates": metric._update_count, "values": {name: getattr(metric, name) for name in metric._defaults}}


def _set_metric_state(metric: Metric, state: Mapping[str, Any]) -> None:
    metric.reset()
    metric._update_count = state["updates"]
    for name, value in state["values"].items():
        setattr(metric, name, _on_device(value, metric.device))


def _on_device(value: Any, device: torch.device) -> Any:
    return [item.to(device) for item in value] if isinstance(value, list) else value.to(device)
