"""Targets of other distributions, as far as a manifest is concerned: their names, and their part of the schema."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "innereye_runtime.targets"


@cache
def external_targets() -> Mapping[str, EntryPoint]:
    """The entry points of targets that other distributions bring, by name. Nothing of them is imported."""
    from importlib.metadata import entry_points  # slow, and few manifests need it

    return {entry.name: entry for entry in entry_points(group=GROUP)}


def schema_with(schema: Mapping[str, Any], target: Any) -> Mapping[str, Any]:
    """`schema`, where `target` is another distribution's with `compute.<target>` described by that target's own
    `schema` (an object of JSON Schema); unchanged for every other target.
    """
    properties = schema["properties"]["compute"]["properties"]
    if not isinstance(target, str) or target in properties["target"]["enum"] or target not in external_targets():
        return schema
    extended = copy.deepcopy(dict(schema))
    properties = extended["properties"]["compute"]["properties"]
    properties["target"]["enum"].append(target)
    properties[target] = external_targets()[target].load().schema
    return extended
