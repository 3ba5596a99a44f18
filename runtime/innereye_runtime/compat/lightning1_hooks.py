"""Models that were written for Lightning 1 run on today's: the hooks that Lightning 2 dropped are called as they used
to be.

Lightning 2 refuses a model with `training_epoch_end`, `validation_epoch_end` or `test_epoch_end`, no longer calls
`training_step_end` and the hooks of `_WITHIN`, gives some hooks fewer arguments, and keeps what a callback returns from
`on_save_checkpoint` no more. Source: the 2.0 upgrade guide
(https://lightning.ai/docs/pytorch/stable/upgrade/migration_guide.html).
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch.utils._pytree import tree_map

log = logging.getLogger("innereye_runtime")

_STAGES = {"training": "train", "validation": "validation", "test": "test"}
"""The word in the names of steps and of what ends their epochs, and the word in the names of hooks."""

_WITHIN = {
    "on_epoch_start": (tuple(f"on_{word}_epoch_start" for word in _STAGES.values()), False),
    "on_epoch_end": (tuple(f"on_{word}_epoch_end" for word in _STAGES.values()), True),
    "on_pretrain_routine_start": (("on_fit_start",), True),
    "on_pretrain_routine_end": (("on_fit_start",), True),
    "on_batch_start": (("on_train_batch_start",), False),
    "on_batch_end": (("on_train_batch_end",), True),
}
"""Hooks that Lightning 2 no longer calls: those of its own that come at the same moment, and whether they come first.
"""

REMOVED_ARGUMENTS: dict[str, Any] = {
    "dataloader_idx": 0,
    "optimizer_idx": 0,
    "on_tpu": False,
    "using_native_amp": False,
    "using_lbfgs": False,
}
"""Arguments that Lightning 2 no longer gives to the hooks below, and what they nearly always were."""

_FEWER_ARGUMENTS = (
    *(f"on_{word}_batch_{moment}" for word in _STAGES.values() for moment in ("start", "end")),
    "optimizer_step",
    "optimizer_zero_grad",
    "on_before_optimizer_step",
    "configure_gradient_clipping",
    "lr_scheduler_step",
)

Hook = Callable[..., Any]


def adapt_module(model: pl.LightningModule) -> pl.LightningModule:
    """The same object, whose class now also calls what it has of Lightning 1's hooks; unchanged where it has none."""
    _become(model, _one_optimizer(type(model)))
    own = type(model)
    members: dict[str, Any] = {}
    for stage, hook in _STAGES.items():
        members |= _epoch_end(own, stage, hook)
    members |= _old_signatures(own)
    _become(model, _with_old_hooks(own, members, arguments=0))
    return model


def adapt_callback(callback: Callback) -> Callback:
    """The same for a callback."""
    own = type(callback)
    members = _old_signatures(own) | _old_state(own)
    _become(callback, _with_old_hooks(own, members, arguments=2))
    return callback


def _become(value: object, members: dict[str, Any]) -> None:
    own = type(value)
    if members:
        members |= {"__module__": own.__module__, "__qualname__": own.__qualname__, "__doc__": own.__doc__}
        value.__class__ = type(own.__name__, (own,), members)


def _one_optimizer(own: type) -> dict[str, Any]:
    """`training_step` with an `optimizer_idx`, which Lightning 1 gave only to models with several optimizers; today's
    refuses it by its name."""
    step: Hook = own.training_step  # type: ignore[attr-defined]
    signature = inspect.signature(step)
    if "optimizer_idx" not in signature.parameters:
        return {}

    def training_step(self: Any, *arguments: Any, **named: Any) -> Any:
        return step(self, *arguments, **named, optimizer_idx=0)

    rest = [each for name, each in signature.parameters.items() if name != "optimizer_idx"]
    training_step.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
    return {"training_step": training_step}


class ReturnedLog(Callback):
    """Says that `{"log": ...}` in what a step returns logs nothing: Lightning took metrics from there until 1.0."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        self._look("training_step", outputs)

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        self._look("validation_step", outputs)

    def on_test_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        self._look("test_step", outputs)

    def _look(self, step: str, outputs: Any) -> None:
        if isinstance(outputs, dict) and step not in self._told:
            found = [key for key in ("log", "progress_bar") if isinstance(outputs.get(key), dict)]
            if found:
                self._told.add(step)
                _tell_returned_log(step, found[0], outputs[found[0]])


def _tell_returned_log(method: str, key: str, values: Any) -> None:
    names = ", ".join(map(str, values))
    log.warning(
        "warning: %s returned {'%s': ...} with %s: Lightning logs nothing from there since 1.0; call "
        "self.log_dict({...}) for it",
        method,
        key,
        names or "nothing",
    )


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

    def step_collecting_outputs(self: Any, *arguments: Any, **named: Any) -> Any:
        output = step(self, *arguments, **named)
        if not _is_in(stage, self):  # a step of another stage shares the work of this one
            return output
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
            returned = old(self, outputs)
            if isinstance(returned, dict) and isinstance(returned.get("log"), dict):
                _tell_returned_log(f"{stage}_epoch_end", "log", returned["log"])
        ended(self, outputs) if wants_outputs else ended(self)

    # Steps are told apart by their signatures (`batch_idx`, `dataloader_idx`), so the new one must show the old one's.
    step_collecting_outputs.__signature__ = inspect.signature(step)  # type: ignore[attr-defined]
    return {f"{stage}_epoch_end": None, f"{stage}_step": step_collecting_outputs, f"on_{hook}_epoch_end": end_epoch}


def _is_in(stage: str, model: pl.LightningModule) -> bool:
    trainer = model.trainer
    now = {"training": trainer.training, "validation": trainer.validating or trainer.sanity_checking}
    return now.get(stage, trainer.testing)


def _with_old_hooks(own: type, members: dict[str, Any], *, arguments: int) -> dict[str, Any]:
    """`members`, with the hooks of `_WITHIN` that the class has called beside those of today. They get the first
    `arguments` ones."""
    found = dict(members)
    for name, (hooks, last) in _WITHIN.items():
        old: Hook | None = getattr(own, name, None)
        if old is None or not callable(old):
            continue
        for hook in hooks:
            found[hook] = _both(found.get(hook, getattr(own, hook)), old, arguments, last=last)
    return found


def _both(hook: Hook, old: Hook, count: int, *, last: bool) -> Hook:
    def call(self: Any, *arguments: Any) -> Any:
        if not last:
            old(self, *arguments[:count])
        result = hook(self, *arguments)
        if last:
            old(self, *arguments[:count])
        return result

    return call


def _old_signatures(own: type) -> dict[str, Any]:
    """Hooks that ask for arguments which Lightning 2 no longer gives."""
    found: dict[str, Any] = {}
    for name in _FEWER_ARGUMENTS:
        hook: Hook | None = getattr(own, name, None)
        if hook is not None and _asks_for_more(inspect.signature(hook).parameters.values()):
            found[name] = _with_gone_arguments(hook)
    return found


def _asks_for_more(parameters: Iterable[inspect.Parameter]) -> bool:
    """Whether a hook can't be called without what is gone: it has no default, or other arguments come after it."""
    gone = False
    for parameter in parameters:
        if parameter.name not in REMOVED_ARGUMENTS:
            if gone and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                return True
        elif parameter.default is inspect.Parameter.empty:
            return True
        else:
            gone = True
    return False


def _with_gone_arguments(hook: Hook) -> Hook:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = list(inspect.signature(hook).parameters.values())[1:]
    names = [parameter.name for parameter in parameters if parameter.kind in kinds]

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        given = list(arguments)
        filled: dict[str, Any] = {}
        for name in names:
            if name in named:
                continue
            if name in REMOVED_ARGUMENTS and not (
                name == "dataloader_idx" and given
            ):  # of several loaders, it is given today too
                filled[name] = REMOVED_ARGUMENTS[name]
            elif given:
                filled[name] = given.pop(0)
        if given:  # for *args
            return hook(self, *filled.values(), *given, **named)
        return hook(self, **filled, **named)

    return call


def _old_state(own: type[Callback]) -> dict[str, Any]:
    """`on_save_checkpoint`, which returned the callback's state, and `on_load_checkpoint`, which was given it back."""
    save: Hook = own.on_save_checkpoint
    load: Hook = own.on_load_checkpoint
    if "callback_state" not in inspect.signature(load).parameters:
        return {}

    def save_state(self: Any, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        state = save(self, trainer, pl_module, checkpoint)
        if state is not None:
            checkpoint["callbacks"][self.state_key] = state

    def load_state(self: Any, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["callbacks"].get(self.state_key)
        if state is not None:
            load(self, trainer, pl_module, state)

    return {"on_save_checkpoint": save_state, "on_load_checkpoint": load_state}
