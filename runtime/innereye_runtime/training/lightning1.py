"""Models that were written for Lightning 1 run on today's: the hooks that Lightning 2 dropped are called as they used
to be.

Lightning 2 refuses a model with `training_epoch_end`, `validation_epoch_end` or `test_epoch_end`, no longer calls
`on_epoch_start`, `on_epoch_end` and `training_step_end`, and gives some hooks fewer arguments. Source: the 2.0 upgrade
guide (https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils._pytree import tree_map

_STAGES = {"training": "train", "validation": "validation", "test": "test"}
"""The word in the names of steps and of what ends their epochs, and the word in the names of hooks."""

_GONE: dict[str, Any] = {
    "dataloader_idx": 0,
    "optimizer_idx": 0,
    "on_tpu": False,
    "using_native_amp": False,
    "using_lbfgs": False,
}
"""Arguments that Lightning 2 no longer gives to the hooks below, and what they nearly always were."""

_FEWER_ARGUMENTS = (
    "on_train_batch_start",
    "on_train_batch_end",
    "optimizer_step",
    "optimizer_zero_grad",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "lr_scheduler_step",
)

Hook = Callable[..., Any]


def adapt(model: pl.LightningModule) -> pl.LightningModule:
    """The same object, whose class now also calls what it has of Lightning 1's hooks; unchanged where it has none."""
    own = type(model)
    members: dict[str, Any] = {}
    for stage, hook in _STAGES.items():
        members |= _epoch_end(own, stage, hook)
    members |= _epoch_hooks(own, members)
    members |= _old_signatures(own)
    _become(model, members)
    return model


def adapt_callback(callback: Callback) -> Callback:
    """The same for a callback."""
    own = type(callback)
    _become(callback, _epoch_hooks(own, {}) | _old_signatures(own))
    return callback


def _become(value: object, members: dict[str, Any]) -> None:
    own = type(value)
    if members:
        members |= {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
        value.__class__ = type(own.__name__, (own,), members)


def _epoch_end(own: type, stage: str, hook: str) -> dict[str, Any]:
    """`{stage}_epoch_end(outputs)`, and `on_train_epoch_end(outputs)`: called with what the steps of the epoch
    returned.
    """
    old: Hook | None = getattr(own, f"{stage}_epoch_end", None)
    step: Hook = getattr(own, f"{stage}_step")
    step_ended: Hook | None = getattr(own, f"{stage}_step_end", None)
    ended: Hook = getattr(own, f"on_{hook}_epoch_end")
    wants_outputs = "outputs" in inspect.signature(ended).parameters
    if not callable(old) and not callable(step_ended) and not wants_outputs:
        return {}
    attribute = f"_lightning1_{stage}_outputs"

    def step_and_keep(self: Any, *arguments: Any, **named: Any) -> Any:
        output = step(self, *arguments, **named)
        if callable(step_ended):
            output = step_ended(self, output)
        if output is not None:
            loader = named.get("dataloader_idx", arguments[2] if len(arguments) > 2 else 0)
            kept = tree_map(lambda leaf: leaf.detach() if isinstance(leaf, torch.Tensor) else leaf, output)
            if stage == "training" and isinstance(kept, torch.Tensor):
                kept = {"loss": kept}
            self.__dict__.setdefault(attribute, {}).setdefault(loader, []).append(kept)
        return output

    def end_epoch(self: Any) -> None:
        by_loader = self.__dict__.pop(attribute, {})
        outputs = [by_loader[loader] for loader in sorted(by_loader)]
        outputs = outputs[0] if len(outputs) == 1 else outputs
        if callable(old):
            old(self, outputs)
        ended(self, outputs) if wants_outputs else ended(self)

    # Steps are told apart by their signatures (`batch_idx`, `dataloader_idx`), so the new one must show the old one's.
    step_and_keep.__signature__ = inspect.signature(step)  # type: ignore[attr-defined]
    return {f"{stage}_epoch_end": None, f"{stage}_step": step_and_keep, f"on_{hook}_epoch_end": end_epoch}


def _epoch_hooks(own: type, members: dict[str, Any]) -> dict[str, Any]:
    """`on_epoch_start` and `on_epoch_end`: called around every epoch, of whatever stage."""
    found: dict[str, Any] = {}
    for moment in ("start", "end"):
        old: Hook | None = getattr(own, f"on_epoch_{moment}", None)
        if not callable(old):
            continue
        for hook in _STAGES.values():
            name = f"on_{hook}_epoch_{moment}"
            found[name] = _both(members.get(name, getattr(own, name)), old, first=moment == "end")
    return found


def _both(hook: Hook, old: Hook, *, first: bool) -> Hook:
    def call(self: Any, *arguments: Any) -> None:
        for each in (hook, old) if first else (old, hook):
            each(self, *arguments)

    return call


def _old_signatures(own: type) -> dict[str, Any]:
    """Hooks that ask for arguments which Lightning 2 no longer gives."""
    found: dict[str, Any] = {}
    for name in _FEWER_ARGUMENTS:
        hook: Hook | None = getattr(own, name, None)
        parameters = inspect.signature(hook).parameters if hook is not None else {}
        if hook is not None and any(
            gone in parameters and parameters[gone].default is inspect.Parameter.empty for gone in _GONE
        ):
            found[name] = _with_gone_arguments(hook)
    return found


def _with_gone_arguments(hook: Hook) -> Hook:
    names = list(inspect.signature(hook).parameters)[1:]

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        given = iter(arguments)
        filled = {name: _GONE[name] if name in _GONE else next(given) for name in names if name not in named}
        return hook(self, **(named | filled))

    return call
