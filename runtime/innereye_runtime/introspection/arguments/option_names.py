"""The names that the command line has for itself, and how a parameter of such a name is set there all the same."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "--container."
"""Before the name of a parameter that is called like an option: `--container.target=kidney`."""
DIRECT: Final = ("model", "data")
"""The first part of the name of an argument of a class that a manifest names without a container: `--model.lr=1e-2`."""
OPTIONS: Final = frozenset(("debug", "help", "json", "junit", "set", "smoke", "target"))
"""The options of a command that starts a run, which come before parameters of their names."""


def is_parameter(name: str) -> bool:
    """Whether `name` can be that of a parameter, or of an argument as `model.lr` is."""
    first, *rest = name.split(".")
    return all(part.isidentifier() for part in (first, *rest)) and (not rest or first in DIRECT)
