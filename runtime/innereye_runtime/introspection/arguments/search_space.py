"""A sweep's search space, checked against the parameters of the container, or the arguments of `model` and `data`: each
choice, and both ends of each range.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.introspection.arguments.checker import ArgumentChecker
from innereye_runtime.introspection.arguments.locations import ManifestText
from innereye_runtime.manifest.schema import departures, manifest_schema
from innereye_runtime.parameters.overrides import Override
from innereye_runtime.parameters.parameter import Parameter

if TYPE_CHECKING:
    from innereye_runtime.manifest.loading import Loaded
    from innereye_runtime.manifest.sweep import Distribution

_MOST = 5
"""Values of one parameter that are told; with a hundred choices, the rest is wrong for the same reason."""


def check_search_space(
    parameters: Mapping[str, Parameter],
    loaded: Loaded,
    overrides: Sequence[Override],
    *,
    incomplete: bool = False,
    unread: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """Every value of the search space that the container, or the model or data module, does not take, in source order.

    `unread`: `model` or `data`, where its class can't be used, about which enough is said.
    """
    text = ManifestText(loaded)
    found: dict[tuple[Any, ...], Diagnostic] = {}
    for name, distribution in _search_space(loaded).items():
        part = name.partition(".")[0] if "." in name else ""
        if part and (part not in ("model", "data") or part in unread or loaded.model is None):
            continue
        before = len(found)
        for step, value in _representatives(distribution):
            if len(found) - before >= _MOST:
                break
            checker = ArgumentChecker(parameters, incomplete, {})
            checker.set_value(name, value, text.search_space(name, *step), "manifest", None)
            found |= {(one.span, one.code, one.message): one for one in checker.diagnostics}
        for override in overrides:
            if override.target(parameters)[0] == name:
                found[(name, "override")] = _set_twice(override, text, name)
    return tuple(found.values())


def _search_space(loaded: Loaded) -> Mapping[str, Distribution]:
    """That of the manifest; also where another part of it is wrong, so that all is told in one pass."""
    value = loaded.document.value if loaded.document is not None else None
    sweep = value.get("sweep") if isinstance(value, dict) else None
    space = sweep.get("search_space") if isinstance(sweep, dict) else None
    schema = manifest_schema()["properties"]["sweep"]["properties"]["search_space"]
    if not isinstance(space, dict) or departures(space, {**schema, "$defs": manifest_schema()["$defs"]}):
        return {}
    from innereye_runtime.manifest.sweep import build_space

    return {name: one for name, one in build_space(space).items() if one.is_whole}


def _representatives(distribution: Distribution) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """The values to check, each with where it is written below the parameter's name."""
    match distribution.type:
        case "choice":
            yield from ((("values", index), value) for index, value in enumerate(distribution.values))
        case "randint":
            yield ("upper",), 0
            yield ("upper",), int(distribution.upper or 1) - 1
        case "quniform" if distribution.q is not None and float(distribution.q).is_integer():
            q = int(distribution.q)
            yield ("min_value",), math.ceil((distribution.min_value or 0) / q) * q
            yield ("max_value",), math.floor((distribution.max_value or 0) / q) * q
        case _:
            yield from (((key,), float(getattr(distribution, key))) for key in ("min_value", "max_value"))


def _set_twice(override: Override, text: ManifestText, name: str) -> Diagnostic:
    place = text.search_space(name)
    return Diagnostic(
        code="E307",
        message=f"'{name}' is varied by the sweep, and the command line sets it: {override.argument}",
        span=place.key,
        source=place.source,
        lines=place.lines(at_value=False),
        hint="delete one of the two",
    )
