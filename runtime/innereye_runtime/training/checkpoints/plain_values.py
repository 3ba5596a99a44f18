"""Plain data: numbers, text, tensors, arrays, modules and collections of them, compared and copied for a checkpoint."""

from __future__ import annotations

import copy
import zlib
from collections import deque
from typing import Any, Final

import numpy
import pytorch_lightning as pl
import torch
from torchmetrics import Metric

from innereye_runtime.training.checkpoints.extra_state import CARRIED_TYPES

_NUMBERS: Final = (bool, int, float, complex, str, bytes, type(None))
_LONGEST: Final = 1000
"""Of a collection that is saved; of a longer one, a change is noticed by the identity of some of its items."""
_DEEPEST: Final = 4
_SAMPLE: Final = 1 << 24
"""Bytes of a tensor or an array that are compared; of a larger one, as many, evenly spread."""
_LARGEST: Final = 1 << 28
"""Bytes that are saved of one object, beside as many again as its model has: more of them are data."""
ABSENT: Final = object()
_MODULE, _DEVICE, _DEQUE, _KEPT = "__module__", "__accelerator__", "__deque__", "__kept__"


def is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, numpy.ndarray):
        return bool(value.dtype != object)
    if isinstance(value, list | tuple | deque | set | frozenset | dict):
        inner = [*value, *value.values()] if isinstance(value, dict) else list(value)
        fits = len(value) <= _LONGEST and depth < _DEEPEST
        return (
            fits
            and (isinstance(value, dict | deque) or type(value) in (list, tuple, set, frozenset))
            and all(is_plain(each, depth + 1) for each in inner)
        )
    return isinstance(value, (*_NUMBERS, torch.Tensor, numpy.generic)) or (
        isinstance(value, torch.nn.Module) and not isinstance(value, Metric)
    )


def size(values: list[Any]) -> int:
    """Bytes of the tensors and arrays in plain data."""
    total, pending = 0, list(values)
    while pending:
        value = pending.pop()
        if isinstance(value, torch.nn.Module):
            pending += value.state_dict().values()
        elif isinstance(value, list | tuple | deque):
            pending += value
        elif isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, torch.Tensor | numpy.ndarray):
            total += value.nbytes
    return total


class KnownTensors:
    """What a checkpoint has anyway: the model's modules and tensors."""

    def __init__(self, trainer: pl.Trainer) -> None:
        model = trainer.lightning_module
        tensors = [*model.parameters(), *model.buffers()]
        self.room = _LARGEST + sum(each.nbytes for each in tensors)
        self._ids = {id(each) for each in (*tensors, *model.modules())}

    def fingerprint(self, value: Any, depth: int = 0) -> Any:
        """Equal for equal content; `ABSENT` for what is no state."""
        if id(value) in self._ids:
            return ABSENT
        if isinstance(value, (*_NUMBERS, numpy.generic)):
            return type(value), repr(value)
        if isinstance(value, torch.Tensor | numpy.ndarray):
            return _checksum(value, _SAMPLE >> 8 * depth)
        if isinstance(value, torch.nn.Module) and not isinstance(value, Metric):
            return [(name, self.fingerprint(each, depth + 1)) for name, each in value.state_dict().items()]
        if isinstance(value, list | tuple | deque | set | frozenset | dict) and depth < _DEEPEST:
            return type(value), len(value), self._items(value, depth)
        return ABSENT if depth == 0 or isinstance(value, CARRIED_TYPES) else type(value)

    def _items(self, value: Any, depth: int) -> Any:
        items = list(value.items()) if isinstance(value, dict) else list(value)
        if len(items) > _LONGEST:
            return [id(each[-1] if isinstance(value, dict) else each) for each in items[:: len(items) // _LONGEST]]
        found = [self.fingerprint(each, depth + 1) for each in items]
        return sorted(found, key=repr) if isinstance(value, set | frozenset) else found

    def saved(self, value: Any) -> Any:
        """A copy that any checkpoint can hold, on the CPU."""
        if id(value) in self._ids:
            return {_KEPT: True}
        if isinstance(value, torch.nn.Module):
            return {_MODULE: {name: self.saved(each) for name, each in value.state_dict().items()}}
        if isinstance(value, torch.Tensor):
            copied = value.detach().to("cpu", copy=True)
            return copied if value.device.type == "cpu" else {_DEVICE: copied}
        if isinstance(value, dict):
            return {key: self.saved(each) for key, each in value.items()}
        if isinstance(value, deque):
            return {_DEQUE: [self.saved(each) for each in value]}
        if type(value) in (list, tuple, set, frozenset):
            return type(value)(self.saved(each) for each in value)
        return copy.deepcopy(value)


def _checksum(value: torch.Tensor | numpy.ndarray[Any, Any], most: int) -> Any:
    if isinstance(value, torch.Tensor):
        flat = value.detach().reshape(-1)
        flat = flat[:: max(1, flat.nbytes // max(most, 1))].cpu().clone(memory_format=torch.contiguous_format)
        return tuple(value.shape), str(value.dtype), zlib.crc32(flat.view(torch.uint8).numpy().tobytes())
    if value.dtype == object or isinstance(value, numpy.memmap):
        return value.shape, str(value.dtype)
    flat_array = value.reshape(-1)
    flat_array = numpy.ascontiguousarray(flat_array[:: max(1, value.nbytes // max(most, 1))])
    return value.shape, str(value.dtype), zlib.crc32(flat_array.tobytes())


def restored(saved: Any, existing: Any, device: torch.device) -> Any:
    """What `KnownTensors.saved` copied; modules are loaded into the ones that exist.

    Raises:
        LookupError: a module is not there.
        RuntimeError: it has other layers.
    """
    if isinstance(saved, dict):
        tag = next(iter(saved)) if len(saved) == 1 else None
        if tag == _KEPT:
            return existing
        if tag == _DEVICE:
            return saved[tag].to(device)
        if tag == _DEQUE:
            items = [restored(each, None, device) for each in saved[tag]]
            return deque(items, existing.maxlen if isinstance(existing, deque) else None)
        if tag == _MODULE:
            if not isinstance(existing, torch.nn.Module):
                raise LookupError
            existing.load_state_dict(restored(saved[tag], None, device))
            return existing
        there = existing if isinstance(existing, dict) else {}
        whole = copy.copy(there)  # of its own kind: a defaultdict stays one
        whole.clear()
        whole.update({key: restored(each, there.get(key), device) for key, each in saved.items()})
        return whole
    if type(saved) in (list, tuple):
        places = list(existing) if isinstance(existing, list | tuple) else []
        places += [None] * (len(saved) - len(places))
        return type(saved)(restored(each, places[at], device) for at, each in enumerate(saved))
    if isinstance(saved, torch.Tensor):
        return saved.clone()
    return copy.deepcopy(saved)
