"""The names that the command line has for itself, and how a parameter of such a name is set there all the same."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "--container."
"""Before the name of a parameter that is called like an option: `--container.target=kidney`."""
OPTIONS: Final = frozenset(("help", "json", "set", "smoke", "target"))
"""The options of a command that starts a run, which come before parameters of their names."""
