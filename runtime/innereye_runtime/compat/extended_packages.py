"""The packages of the old toolbox that ship with this one. A checkout of the user's may have modules of the same
packages, as in `InnerEye/ML/configs/mine.py`: those are found beside the shipped ones, which come first."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path
from pkgutil import extend_path
from typing import Final

EXTENDED: Final = ("InnerEye",)
SHIPPED: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the shipped packages."""


def install() -> None:
    """Makes `import InnerEye` the shipped package from here on, and extends it over the folders of `sys.path` that hold
    one of that name. Idempotent; call it after `sys.path` has changed."""
    for name in EXTENDED:
        if name not in sys.modules:
            _import_shipped(name)
        below = (each for each in list(sys.modules) if each == name or each.startswith(f"{name}."))
        for each in sorted(below):  # a package before what is below it
            module = sys.modules[each]
            folders = [str(folder) for folder in getattr(module, "__path__", ())]
            if folders and Path(folders[0]).is_relative_to(SHIPPED):
                module.__path__ = extend_path(folders, each)


def _import_shipped(name: str) -> None:
    """Imports a package from `SHIPPED`, wherever Python would find another one first."""
    spec = PathFinder.find_spec(name, [str(SHIPPED)])
    if spec is None or spec.loader is None:
        return
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
