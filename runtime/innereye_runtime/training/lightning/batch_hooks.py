"""Callbacks of the runtime's own that cost a batch nothing where they have no hook of it.

Lightning calls six hooks of each callback in each training batch, the empty ones too, at several microseconds each: of
a dozen callbacks that is a tenth of a batch of a small model. A hook that is None is not called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pytorch_lightning.callbacks import Callback

_HOOKS: Final = (
    *("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step"),
    *(f"on_{stage}_batch_{edge}" for stage in ("train", "validation", "test", "predict") for edge in ("start", "end")),
)


def skip_empty_hooks(callbacks: Iterable[Callback]) -> None:
    """Lets Lightning pass over the hooks of batches that the classes of `callbacks` only inherit from its `Callback`.

    Not for callbacks of others, who may call such a hook themselves.
    """
    for kind in {type(each) for each in callbacks}:
        for hook in _HOOKS:
            if getattr(kind, hook) is getattr(Callback, hook):
                setattr(kind, hook, None)


def rest(callback: Callback, hook: str) -> None:
    """Lets Lightning pass over one hook of a callback until `wake`: one that only a few of the batches need."""
    vars(callback)[hook] = None


def wake(callback: Callback, hook: str) -> None:
    """Lets Lightning call the hook of the callback's class again."""
    vars(callback).pop(hook, None)
