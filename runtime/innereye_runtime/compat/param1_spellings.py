"""How `param` 1 spelled declarations, and how `param` 2 does."""

from __future__ import annotations

from typing import Any, Final

POSITIONAL: Final[dict[str, tuple[str, ...]]] = {
    "Parameter": ("default", "doc"),
    "String": ("default", "regex"),
    "Boolean": ("default", "bounds"),
    "Number": ("default", "bounds", "softbounds", "inclusive_bounds"),
    "Integer": ("default", "bounds", "softbounds", "inclusive_bounds"),
    "Magnitude": ("default", "softbounds"),
    "Selector": ("objects", "default"),
    **dict.fromkeys(("Path", "Filename", "Foldername"), ("default", "search_paths")),
    **dict.fromkeys(
        ("Range", "DateRange", "CalendarDateRange"), ("default", "bounds", "softbounds", "inclusive_bounds")
    ),
    "Tuple": ("default", "length"),
    "NumericTuple": ("default", "length"),
    "List": ("default", "class_", "instantiate", "bounds"),
    "ListSelector": ("default", "objects"),
    "ObjectSelector": ("default", "objects"),
    "ClassSelector": ("class_", "default", "instantiate", "is_instance"),
    "Dict": ("default",),
    "Date": ("default", "bounds"),
    "CalendarDate": ("default", "bounds"),
}
"""The order in which `param` 1 took positional arguments. `param` 2 takes at most the default without its name."""

RENAMED: Final[dict[str, dict[str, str | None]]] = {
    "List": {"class_": "item_type"},
    "Boolean": {"bounds": None},
}
"""Keywords of `param` 1 and what they are called today; None where nothing is needed any more."""

CONVERTING: Final = frozenset(("__set__", "__get__", "_validate", "_validate_value"))
"""Methods by which a parameter class of the user's may take other values than its base does."""


def normalise_arguments(kind: str, positional: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """The keywords of `param` 2 for a declaration `param.<kind>(*positional, **keywords)` of either generation."""
    named = dict(zip(POSITIONAL.get(kind, ("default",)), positional, strict=False)) | keywords
    for old, new in RENAMED.get(kind, {}).items():
        if old in named:
            value = named.pop(old)
            if new is not None:
                named.setdefault(new, value)
    return named
