"""Files of JSON that this program wrote and somebody may have damaged: read within bounds, their types checked."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

_DEEPEST: Final = 100
"""Levels of lists and mappings; whoever shows or writes such data goes down them by recursion."""
_DIGITS: Final = 300


def problem_of(data: Any, name: str = "") -> str:
    """What is wrong with the fields of a dataclass, in words; '' where each has the type that it is annotated with.

    `name`: where it stands in the file.
    """
    hints = get_type_hints(type(data))
    for field in fields(data):
        value, place = getattr(data, field.name), f"{name}.{field.name}" if name else field.name
        if not _fits(value, hints[field.name]):
            return f"'{place}' is {_noun(value)}"
        if isinstance(value, list):
            inner = (problem_of(each, f"{place}[{n}]") for n, each in enumerate(value) if is_dataclass(each))
            if found := next(filter(None, inner), ""):
                return found
    return ""


def parse_json(text: str) -> Any:
    """The content of a file of JSON that this program wrote.

    Raises:
        ValueError: it is none, is nested deeper than anything written here, or has a number that is no float.
    """
    try:
        data = json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    level = [data]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    if level:
        raise ValueError("it is nested too deep")
    return data


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"it has a number of {len(text)} digits")
    return int(text)


def _fits(value: Any, kind: Any) -> bool:
    parts = get_args(kind)
    match get_origin(kind) or kind:
        case origin if origin is Any:
            return True
        case origin if origin is Literal:
            return value in parts
        case origin if origin in (Union, UnionType):
            return any(_fits(value, part) for part in parts)
        case origin if origin is list:
            return isinstance(value, list) and all(_fits(each, parts[0]) for each in value)
        case origin if origin is dict:
            return isinstance(value, dict) and all(_fits(each, parts[1]) for each in value.values())
        case origin if origin in (int, float):
            return isinstance(value, int if origin is int else int | float) and not isinstance(value, bool)
        case origin:
            return isinstance(value, origin)


def _noun(value: Any) -> str:
    nouns = {dict: "a mapping", list: "a list", bool: "a boolean", NoneType: "null"}
    return nouns.get(type(value)) or f"{str(value)[:40]!r}"
