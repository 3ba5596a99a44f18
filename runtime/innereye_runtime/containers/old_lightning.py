"""Lets modules written for Lightning 1 be imported: its metrics are a package of their own today, `torchmetrics`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

MOVED: Final = {
    "pytorch_lightning.metrics": "torchmetrics",
    "pytorch_lightning.metrics.functional": "torchmetrics.functional",
}


class _MovedModules(MetaPathFinder, Loader):
    """Found after all others, so that a module that is really there wins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        today = import_module(MOVED[module.__name__])
        vars(module).update({name: value for name, value in vars(today).items() if not name.startswith("__")})


def install() -> None:
    """Lets the old names be imported from here on. Idempotent."""
    if not any(isinstance(finder, _MovedModules) for finder in sys.meta_path):
        sys.meta_path.append(_MovedModules())
