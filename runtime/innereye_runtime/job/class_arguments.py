"""The arguments of `model` and `data` in the effective manifest: what the command line said, and absolute paths."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from innereye_runtime.introspection.arguments.checker import Argument
from innereye_runtime.manifest.model import ClassArgs, Manifest
from innereye_runtime.parameters.values import plain

if TYPE_CHECKING:
    from innereye_runtime.introspection.arguments.direct import DirectClasses


def with_arguments(manifest: Manifest, arguments: Mapping[str, Argument], direct: DirectClasses) -> Manifest:
    """`manifest`, which then repeats the run from wherever it lies."""
    parts = {"model": _data(manifest.model), "data": _data(manifest.data)}
    for name, place in direct.places.items():
        argument = arguments.get(name)
        if argument is None or argument.origin not in ("manifest", "command line"):
            continue
        *above, last = place
        holder: Any = parts
        for step in above:
            holder = holder.setdefault(step, {}) if isinstance(holder, dict) else holder[step]
        holder[last] = plain(argument.value)
    return replace(manifest, model=_class(parts["model"]), data=_class(parts["data"]))


def _data(given: ClassArgs | None) -> dict[str, Any]:
    return {} if given is None else {"class": given.class_name, "args": deepcopy(dict(given.args))}


def _class(data: dict[str, Any]) -> ClassArgs | None:
    return ClassArgs(class_name=data["class"], args=data["args"]) if data else None
