"""Whether a parameter takes a value, and what that value is in Python: one answer for manifests and for the command
line."""

from __future__ import annotations

import math
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from innereye_runtime.parameters.parameter import Kind, Parameter

TYPE: Final = 3
BOUNDS: Final = 4
CHOICE: Final = 5
LENGTH: Final = 6
_LARGEST: Final = sys.float_info.max

_NOUNS: Final[dict[Kind, str]] = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "path": "a path",
    "enum": "one of its choices",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "date": "a date, as in 2026-11-24",
    "any": "a value",
}


class ValueProblemError(ValueError):
    """A value that the parameter does not take. `reason` is TYPE, BOUNDS, CHOICE or LENGTH; `hint` says what to
    write."""

    def __init__(self, message: str, reason: int, hint: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.hint = hint


def accept(parameter: Parameter, value: Any) -> Any:
    """`value` (plain data, as a manifest has it) as the parameter holds it: Path, tuple, the exact choice.

    Raises:
        ValueProblemError: the parameter does not take it; the sentence begins with its name.
    """
    if value is None:
        if parameter.optional:
            return None
        raise ValueProblemError(f"{parameter.name} must be {_noun(parameter)}, not empty", TYPE)
    if parameter.kind in ("list", "tuple"):
        return _accept_items(parameter, value)
    accepted = _accept_one(parameter, parameter.kind, value)
    if isinstance(accepted, date) and any(isinstance(bound, datetime) for bound in parameter.bounds):
        accepted = _moment(accepted)
    if parameter.kind in ("integer", "number", "date"):
        _check_bounds(parameter, accepted, parameter.name)
    return accepted


def shown(value: Any) -> str:
    """A value in a sentence, as a manifest would have it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(shown(item) for item in value)}]"
    if isinstance(value, float):
        return f"{value:g}" if value == float(f"{value:g}") else repr(value)
    return f"'{value}'" if isinstance(value, str) else str(value)


def plain(value: Any) -> Any:
    """`value` as plain data for JSON and YAML: paths and dates as text, tuples as lists."""
    if isinstance(value, Path | date):
        return str(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _noun(parameter: Parameter) -> str:
    return f"one of {', '.join(map(str, parameter.choices))}" if parameter.choices else _NOUNS[parameter.kind]


def _accept_items(parameter: Parameter, value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueProblemError(f"{parameter.name} must be a list, not {shown(value)}", TYPE, f"write [{value}]")
    item_kind: Kind = "enum" if parameter.choices else parameter.item
    items = [_accept_one(parameter, item_kind, item, f"item {n} of ") for n, item in enumerate(value, 1)]
    if parameter.kind == "tuple":
        if parameter.length is not None and len(items) != parameter.length:
            raise ValueProblemError(f"{parameter.name} must have {_count(parameter.length)}, not {len(items)}", LENGTH)
        return tuple(items)
    low, high = parameter.bounds
    if (low is not None and len(items) < low) or (high is not None and len(items) > high):
        wanted = f"at least {low:g}" if high is None else f"at most {high:g}" if not low else f"{low:g} to {high:g}"
        raise ValueProblemError(f"{parameter.name} must have {wanted} items, not {len(items)}", LENGTH)
    return items


def _moment(day: date) -> datetime:
    """The first moment of a day, since Python compares no day with a moment."""
    return day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)


def _count(number: int) -> str:
    return f"{number} item{'s' if number != 1 else ''}"


def _accept_one(parameter: Parameter, kind: Kind, value: Any, place: str = "") -> Any:
    accepted = _ACCEPT[kind](parameter, value)
    if accepted is not None:
        return accepted
    name = f"{place}{parameter.name}"
    if kind == "enum":
        return _no_choice(parameter, value, name)
    raise ValueProblemError(f"{name} must be {_NOUNS[kind]}, not {shown(value)}", TYPE, _hint(kind, value))


def _boolean(_: Parameter, value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(_: Parameter, value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(_: Parameter, value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # NaN compares to nothing, and a whole number beyond the largest float can't be one.
    return value if is_number and (-_LARGEST <= value <= _LARGEST or value in (math.inf, -math.inf)) else None


def _string(_: Parameter, value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _path(_: Parameter, value: Any) -> Path | None:
    return Path(value) if isinstance(value, Path) or (isinstance(value, str) and value.strip()) else None


def _enum(parameter: Parameter, value: Any) -> Any:
    if not parameter.choices:  # the source does not tell them
        return value
    exact = [
        choice
        for choice in parameter.choices
        if choice == value and isinstance(choice, bool) == isinstance(value, bool)
    ]
    similar = [choice for choice in parameter.choices if str(choice).lower() == str(value).lower()]
    by_object = [
        name for name, item in parameter.named if isinstance(item, str | int | float) and str(item) == str(value)
    ]
    return next(iter(exact + by_object + similar), None)


def _dict(_: Parameter, value: Any) -> Any:
    return value if isinstance(value, dict) else None


def _date(_: Parameter, value: Any) -> date | None:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if len(value) == 10 else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _any(_: Parameter, value: Any) -> Any:
    return value


_ACCEPT: Final = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "string": _string,
    "path": _path,
    "enum": _enum,
    "list": _any,
    "tuple": _any,
    "dict": _dict,
    "date": _date,
    "any": _any,
}


def _no_choice(parameter: Parameter, value: Any, name: str) -> Any:
    import difflib

    choices = [str(choice) for choice in parameter.choices]
    near = difflib.get_close_matches(str(value).lower(), [choice.lower() for choice in choices], 1)
    hint = next((f"did you mean '{choice}'?" for choice in choices if near and choice.lower() == near[0]), "")
    raise ValueProblemError(f"{name} must be one of {', '.join(choices)}, not {shown(value)}", CHOICE, hint)


def _check_bounds(parameter: Parameter, value: Any, name: str) -> None:
    (low, high), (with_low, with_high) = parameter.bounds, parameter.inclusive
    try:
        too_low = low is not None and (value < low or (value == low and not with_low))
        too_high = high is not None and (value > high or (value == high and not with_high))
    except TypeError:  # a moment where days are wanted, or one with a time zone
        example = low if low is not None else high
        raise ValueProblemError(f"{name} must be a date as {shown(example)} is, not {shown(value)}", TYPE) from None
    if too_low or too_high:
        parts = [f"{'at least' if with_low else 'more than'} {shown(low)}"] if low is not None else []
        parts += [f"{'at most' if with_high else 'less than'} {shown(high)}"] if high is not None else []
        raise ValueProblemError(f"{name} must be {' and '.join(parts)}, not {shown(value)}", BOUNDS)


def _hint(kind: Kind, value: Any) -> str:
    if kind == "boolean" and isinstance(value, str):
        return f"write {value.lower()} without quotes" if value.lower() in ("true", "false") else "write true or false"
    if kind == "integer" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    bare = value.replace("_", "") if isinstance(value, str) else ""
    if kind in ("integer", "number") and bare != value and _is_number(bare) and (kind == "number" or bare.isdecimal()):
        return f"write {bare}: YAML 1.2 has no '_' in numbers"
    if isinstance(value, str) and (
        value.lstrip("+-").isdecimal() if kind == "integer" else kind == "number" and _is_number(value)
    ):
        return f"write {value} without quotes"
    if kind == "string" and not isinstance(value, dict | list):
        return f'write "{value}", in quotes'
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
