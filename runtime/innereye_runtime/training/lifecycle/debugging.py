"""A run that a person follows in a debugger: loaders without workers, and the debugger at the first exception."""

from __future__ import annotations

import os
import pdb
from functools import wraps
from typing import Any

from torch.utils.data import DataLoader

_OF_WORKERS: dict[str, Any] = {
    "num_workers": 0,
    "persistent_workers": False,
    "prefetch_factor": None,
    "multiprocessing_context": None,
    "timeout": 0,
}


def load_without_workers() -> None:
    """Lets every DataLoader of this process load in it, where a breakpoint() in a dataset has the terminal."""
    original = DataLoader.__init__

    @wraps(original)
    def without_workers(
        self: Any, dataset: Any, batch_size: Any = 1, shuffle: Any = None, *more: Any, **options: Any
    ) -> None:
        names = ("sampler", "batch_sampler", "num_workers", "collate_fn", "pin_memory", "drop_last", "timeout")
        given = {**dict(zip(names, more, strict=False)), **options, **_OF_WORKERS}
        original(self, dataset, batch_size, shuffle, **given)

    DataLoader.__init__ = without_workers  # type: ignore[method-assign]


def offer_debugger(error: BaseException) -> None:
    """Asks on the terminal whether to open the debugger where `error` was raised; without a terminal, nothing."""
    if error.__traceback__ is None or not (os.isatty(0) and os.isatty(1)):
        return
    try:
        answer = input(f"{type(error).__name__}: {error}\nopen the debugger there? [y/N] ")
    except EOFError:
        return
    if answer.strip().lower() in ("y", "yes"):
        pdb.post_mortem(error.__traceback__)
