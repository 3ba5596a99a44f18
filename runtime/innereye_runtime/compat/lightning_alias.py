"""Makes `lightning` and `lightning.pytorch` other names of `pytorch_lightning`, the same module objects.

The framework is published as two distributions with equal code, whose classes are not each other's. Code that imports
one of them therefore fails in a trainer of the other. Here both names lead to `pytorch_lightning`, and
`lightning.fabric` to `lightning_fabric`, whether the distribution `lightning` is installed or not: an object pickled
under one name loads under the other.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

_ALIASES: Final = {"lightning.pytorch": "pytorch_lightning", "lightning.fabric": "lightning_fabric"}
_ROOT: Final = "lightning"
_PUBLIC: Final = ("Callback", "LightningDataModule", "LightningModule", "Trainer", "seed_everything", "__version__")


class _AliasFinder(MetaPathFinder, Loader):
    """Asked before all other finders, so that an installed `lightning` is not imported beside `pytorch_lightning`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _ROOT:
            return ModuleSpec(fullname, self, is_package=True)
        real = _real_name(fullname)
        return ModuleSpec(fullname, self) if real is not None and find_spec(real) is not None else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        real = _real_name(spec.name)
        if real is None:
            return None
        module = import_module(real)
        spec.loader_state = module.__spec__  # importing sets the alias's own, which is put back below
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        assert spec is not None, "set by the import system"
        if spec.name != _ROOT:
            module.__spec__ = spec.loader_state
            return
        module.__path__ = []
        lightning, fabric = import_module("pytorch_lightning"), import_module("lightning_fabric")
        module.__dict__.update({name: getattr(lightning, name) for name in _PUBLIC})
        module.__dict__.update(pytorch=lightning, fabric=fabric, Fabric=fabric.Fabric)
        for alias, real in _ALIASES.items():
            sys.modules[alias] = sys.modules[real]


def install() -> None:
    """From here on both names are the same; does nothing where `pytorch_lightning` is not installed. Idempotent."""
    installed = any(isinstance(finder, _AliasFinder) for finder in sys.meta_path)
    if not installed and find_spec("pytorch_lightning") is not None:
        sys.meta_path.insert(0, _AliasFinder())


def real_name(module: str) -> str:
    """The module that a name of `lightning` is another name of; `module` itself where it is none."""
    return _real_name(module) or module


def _real_name(name: str) -> str | None:
    for alias, real in _ALIASES.items():
        if name == alias or name.startswith(f"{alias}."):
            return real + name[len(alias) :]
    return None
