"""Lets declarations written for `param` 1 be made with `param` 2.

Containers of the seed system say `param.List(class_=str)` and `param.Number(1.0, (0, None))` in their class bodies,
which `param` 2 refuses. `install` teaches the classes that changed those spellings, and nothing else: what `param` 2
accepts, means
what it meant.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import param

from innereye_runtime.compat.param1_spellings import POSITIONAL, normalise_arguments


def install() -> None:
    """Teaches `param`'s own classes the old spellings. Idempotent."""
    for kind in POSITIONAL:
        parameter_class = getattr(param, kind)
        if not hasattr(parameter_class.__init__, "_takes_both_generations"):
            parameter_class.__init__ = _both_generations(kind, parameter_class.__init__)


def _both_generations(kind: str, init: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(init)
    def translated(self: Any, *positional: Any, **keywords: Any) -> None:
        init(self, **normalise_arguments(kind, positional, keywords))

    translated._takes_both_generations = True  # type: ignore[attr-defined]
    return translated
