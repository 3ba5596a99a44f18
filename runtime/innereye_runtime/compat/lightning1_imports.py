"""Lets modules written for Lightning 1 import what has moved since: its metrics are a package of their own today,
`torchmetrics`, and some of its modules have other names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

MOVED: Final = {
    "pytorch_lightning.metrics": "torchmetrics",
    "pytorch_lightning.metrics.functional": "torchmetrics.functional",
    "pytorch_lightning.core.lightning": "pytorch_lightning.core.module",
    "pytorch_lightning.callbacks.base": "pytorch_lightning.callbacks.callback",
    "pytorch_lightning.loggers.base": "pytorch_lightning.loggers.logger",
    "pytorch_lightning.utilities.distributed": "pytorch_lightning.utilities.rank_zero",
    "pytorch_lightning.trainer.supporters": "pytorch_lightning.utilities.combined_loader",
}
RENAMED: Final = {"pytorch_lightning.loggers.base": {"LightningLoggerBase": "Logger"}}


class _MovedModules(MetaPathFinder, Loader):
    """Found after all others, so that a module that is really there wins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        today = import_module(MOVED[module.__name__])
        vars(module).update({name: value for name, value in vars(today).items() if not name.startswith("__")})
        for old, new in RENAMED.get(module.__name__, {}).items():
            setattr(module, old, getattr(today, new))


def install() -> None:
    """Lets the old names be imported from here on. Idempotent."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
    if find_spec("pytorch_lightning") is not None:
        _allow_data_modules_without_init()
        import_module("pytorch_lightning.metrics.functional")  # so that `pl.metrics` is there after `import ... as pl`
        seed = import_module("pytorch_lightning.utilities.seed")
        vars(seed).setdefault("seed_everything", import_module("pytorch_lightning").seed_everything)
        types = import_module("pytorch_lightning.utilities.types")
        vars(types).setdefault("EPOCH_OUTPUT", list[Any])  # only annotations name it


def _allow_data_modules_without_init() -> None:
    """Gives every data module what its base's `__init__` sets: those of the toolbox's documentation never called it."""
    base = import_module("pytorch_lightning").LightningDataModule
    set_by_init = {
        "trainer": None,
        "prepare_data_per_node": True,
        "allow_zero_length_dataloader_with_multiple_devices": False,
        "_log_hyperparams": False,
    }
    for name, value in set_by_init.items():
        if not hasattr(base, name):
            setattr(base, name, value)
