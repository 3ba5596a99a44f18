"""Small Lightning modules, data modules and callbacks: one hook or idiom each."""

import importlib
import pkgutil


def load() -> None:
    """Imports every module here: `CASES` of base.py has all of their cases then."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
