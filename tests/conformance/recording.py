"""Which hooks were called, and what reached the loggers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, TypeVar

import pytorch_lightning as pl
from pytorch_lightning.core.hooks import CheckpointHooks, DataHooks, ModelHooks
from pytorch_lightning.loggers.logger import Logger

Hooked = TypeVar("Hooked")
Rows = list[tuple[int | None, dict[str, str]]]

_OF_A_MODULE = (
    "configure_callbacks",
    "configure_optimizers",
    "training_step",
    "validation_step",
    "test_step",
    "predict_step",
    "backward",
    "configure_gradient_clipping",
    "lr_scheduler_step",
    "optimizer_step",
    "optimizer_zero_grad",
)
NOT_RECORDED = frozenset(("configure_sharded_model", "on_save_checkpoint", "state_dict", "state_key"))
"""One that is deprecated, and those of each checkpoint: the runtime saves between epochs, whoever else does so too."""

_TIMES = ("/time", "_per_sec")

HOOKS: Mapping[type, frozenset[str]] = {
    pl.LightningModule: frozenset(
        name
        for name in (*vars(ModelHooks), *vars(DataHooks), *vars(CheckpointHooks), *_OF_A_MODULE)
        if not name.startswith("_")
    )
    - NOT_RECORDED,
    pl.LightningDataModule: frozenset(
        name
        for name in (*vars(DataHooks), *vars(CheckpointHooks), "load_state_dict", "on_exception")
        if not name.startswith("_")
    )
    - NOT_RECORDED,
    pl.Callback: frozenset(name for name in vars(pl.Callback) if not name.startswith("_")) - NOT_RECORDED,
}


def record(value: Hooked, label: str, events: list[str]) -> Hooked:
    """The same object; each call of one of its hooks is added to `events`, with its indices and its stage."""
    own = type(value)
    names = next(hooks for kind, hooks in HOOKS.items() if isinstance(value, kind))
    members: dict[str, Any] = {
        name: _recorded(getattr(own, name), f"{label}.{name}", events) for name in sorted(names) if hasattr(own, name)
    }
    if isinstance(value, pl.Callback):  # Lightning compares the types of callbacks
        vars(value).update({name: MethodType(hook, value) for name, hook in members.items()})
        return value
    members |= {"__module__": own.__module__, "__qualname__": own.__qualname__}
    value.__class__ = type(own.__name__, (own,), members)
    return value


def _recorded(hook: Callable[..., Any], name: str, events: list[str]) -> Callable[..., Any]:
    @functools.wraps(hook)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        told = [str(value) for value in (*arguments, *named.values()) if type(value) is int or isinstance(value, str)]
        events.append(" ".join((name, *told)))
        return hook(self, *arguments, **named)

    return call


def texts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The metrics to the last bit, without those that are times: no two runs have these in common."""
    return {name: repr(float(value)) for name, value in sorted(metrics.items()) if not name.endswith(_TIMES)}


class Recorder(Logger):
    """A logger that keeps every row it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows = []
        self.epochs: list[str] = []
        """The trainer's, for each of the rows."""
        self.trainer: pl.Trainer | None = None
        self.hyperparameters: list[str] = []

    @property
    def name(self) -> str:
        return "recorder"

    @property
    def version(self) -> int:
        return 0

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self.rows.append((step, texts(metrics)))
        if self.trainer is not None:
            self.epochs.append(repr(float(self.trainer.current_epoch)))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self.hyperparameters.append(repr(sorted(dict(params).items())))
