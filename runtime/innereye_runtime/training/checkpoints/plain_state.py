"""State in plain attributes of what the user made: a copy of averaged weights, the counter of a curriculum, a cache.

Lightning saves what `state_dict` and the hooks for checkpoints hand over, and nothing else. Here each attribute that
has changed since training began is saved too, where it is plain data: numbers, text, tensors, arrays, modules, and
collections of them. What changed and can't be saved is named: a run that resumes starts without it.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils.data import DataLoader, Dataset, Sampler
from torchmetrics import Metric

from innereye_runtime.training.checkpoints.plain_values import ABSENT, KnownTensors, is_plain, restored, size

_FRAMEWORK: Final = frozenset(
    ("pytorch_lightning", "lightning", "torch", "torchmetrics", "innereye_runtime", "InnerEye")
)
_DEEPEST: Final = 4


class PlainState:
    """Which plain attributes have changed since training began."""

    def __init__(self) -> None:
        self._before: dict[str, dict[str, Any]] = {}

    def begin(self, trainer: pl.Trainer) -> None:
        """Notes how the objects are that were not there at an earlier call."""
        known = KnownTensors(trainer)
        for path, owner in _owners(trainer):
            if path not in self._before:
                self._before[path] = {name: known.fingerprint(value) for name, value in _attributes(owner).items()}

    def capture(self, trainer: pl.Trainer) -> tuple[dict[str, dict[str, Any]], list[str]]:
        """The changed attributes by the path of their owner, and the names of those that a checkpoint can't hold.

        What one object knows belongs together: where a part of it can't be saved, none of it is.
        """
        known = KnownTensors(trainer)
        saved: dict[str, dict[str, Any]] = {}
        lost = [each for callback in vars(trainer)["callbacks"] for each in getattr(callback, "not_saved", ())]
        for path, owner in _owners(trainer):
            changed = self._changed(path, owner, known)
            plain = all(is_plain(value) for value in changed.values()) and size(list(changed.values())) <= known.room
            if changed and plain and (_is_own(owner) or not isinstance(owner, Dataset)):
                saved[path] = {name: known.saved(value) for name, value in changed.items()}
            else:
                lost += [f"{path}.{name}" for name in changed]
        return saved, lost

    def _changed(self, path: str, owner: Any, known: KnownTensors) -> dict[str, Any]:
        before = self._before.get(path, {})
        changed = {}
        for name, value in _attributes(owner).items():
            now = known.fingerprint(value)
            if now is not ABSENT and now != before.get(name, ABSENT):
                changed[name] = value
        return changed


def restore(saved: Mapping[str, Mapping[str, Any]], trainer: pl.Trainer) -> list[str]:
    """Puts back what `PlainState.capture` returned. Returns the paths of what has no place in this attempt."""
    owners, missing = dict(_owners(trainer)), []
    for path, attributes in saved.items():
        for name, value in attributes.items():
            owner = owners.get(path)
            try:
                if owner is None:
                    raise LookupError
                setattr(owner, name, restored(value, getattr(owner, name, None), trainer.strategy.root_device))
            except (LookupError, RuntimeError, AttributeError):  # other layers, a module that isn't there
                missing.append(f"{path}.{name}")
    return missing


def warning(lost: Sequence[str]) -> str:
    """What is to be said of attributes that no checkpoint holds, and what to do."""
    one = len(lost) == 1
    return (
        f"{', '.join(lost)} {'changes' if one else 'change'} in training, and no checkpoint holds "
        f"{'it' if one else 'them'}: a run that resumes may differ from an unbroken one.\n"
        "  hint: return it from state_dict() of the data module or of a callback, and take it back in load_state_dict()"
    )


def _owners(trainer: pl.Trainer) -> Iterator[tuple[str, Any]]:
    """The objects whose attributes are looked at, by a path that is the same in a restarted run."""
    model = trainer.lightning_module
    roots: list[tuple[str, Any]] = [(f"model.{name}".rstrip("."), module) for name, module in model.named_modules()]
    roots.append(("data", getattr(trainer, "datamodule", None)))
    callbacks = [each for each in vars(trainer)["callbacks"] if _is_own(each)]
    names = [type(each).__name__ for each in callbacks]
    for at, (name, callback) in enumerate(zip(names, callbacks, strict=True)):
        number = names[:at].count(name)
        roots.append((f"callback {name}" + (f" {number + 1}" if number else ""), callback))
    seen: set[int] = set()
    for path, root in roots:
        if root is not None and _is_own(root) and not isinstance(root, Metric):
            yield from _below(path, root, seen)
    for name in ("batch_sampler", "sampler"):
        sampler = getattr(trainer.train_dataloader, name, None)
        for place in (name, f"{name}.sampler"):
            if sampler is not None and _is_own(sampler):
                yield from _below(place, sampler, seen)
            sampler = getattr(sampler, "sampler", None)
    dataset = getattr(trainer.train_dataloader, "dataset", None)
    for _ in range(_DEEPEST):
        if isinstance(dataset, Dataset) and id(dataset) not in seen:
            yield f"dataset {type(dataset).__name__}", dataset
        dataset = getattr(dataset, "dataset", None)


def _below(path: str, owner: Any, seen: set[int], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """An object, and objects of the user's classes in its attributes."""
    if id(owner) in seen or depth > _DEEPEST:
        return
    seen.add(id(owner))
    yield path, owner
    for name, value in _attributes(owner).items():
        if _is_own(value) and not isinstance(value, torch.nn.Module | Dataset | Sampler | DataLoader | Callback):
            yield from _below(f"{path}.{name}", value, seen, depth + 1)


def _attributes(owner: Any) -> dict[str, Any]:
    """Those that are not of Lightning or PyTorch, and not called."""
    names = _framework_names(owner)
    own = vars(owner) if hasattr(owner, "__dict__") else {}
    modules = (torch.nn.Module,)
    return {n: v for n, v in own.items() if n not in names and (isinstance(v, modules) or not callable(v))}


_FRAMEWORK_ATTRIBUTES: Final = frozenset(vars(torch.nn.Module())) | {
    *vars(pl.LightningModule()),
    *vars(pl.LightningDataModule()),
    *("_fabric", "_hparams", "_hparams_initial", "_hparams_name", "_metric_attributes", "_trainer", "trainer"),
}


def _framework_names(owner: Any) -> frozenset[str]:
    if not isinstance(owner, Callback):
        return _FRAMEWORK_ATTRIBUTES if isinstance(owner, torch.nn.Module | pl.LightningDataModule) else frozenset()
    # What a callback of Lightning's reads and writes is saved by its own state_dict.
    bases = [each for each in type(owner).__mro__ if each.__module__.partition(".")[0] in _FRAMEWORK]
    methods = [each for base in bases if base is not Callback for each in vars(base).values()]
    return frozenset(name for each in methods if hasattr(each, "__code__") for name in each.__code__.co_names)


def _is_own(value: Any) -> bool:
    """Whether the class of an object is the user's own, and not of an installed package."""
    name = type(value).__module__
    top = name.partition(".")[0]
    if top in _FRAMEWORK or (top in sys.stdlib_module_names and name != "__main__"):
        return False
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    return bool(file) and not file.startswith(_INSTALLED)


_INSTALLED: Final = tuple({sysconfig.get_path(each) for each in ("purelib", "platlib", "stdlib", "platstdlib")})
