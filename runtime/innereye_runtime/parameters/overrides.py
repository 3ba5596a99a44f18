"""Parameters from the command line: `--name=value`, read by the parameter's own type.

boolean          on t true y yes 1 / off f false n no 0, any case; `--flag` is true, `--no-flag` is false
integer, number  as Python writes them; empty: the default
list             items with commas between them, each by the list's item type
tuple            numbers with commas between them, of the right count
enum             a choice, any case
path, string     the text itself
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from innereye_runtime.introspection.arguments.option_names import OPTIONS, PREFIX, is_parameter
from innereye_runtime.parameters import annotated_overrides
from innereye_runtime.parameters.parameter import Kind, Parameter
from innereye_runtime.parameters.values import TYPE, ValueProblemError, accept

TRUE: Final = frozenset(("on", "t", "true", "y", "yes", "1"))
FALSE: Final = frozenset(("off", "f", "false", "n", "no", "0"))
_DEEPEST: Final = 64
"""Levels of lists and mappings in one value; what records and reports it goes down them by recursion."""


@dataclass(frozen=True, slots=True)
class Override:
    """One override as the user wrote it."""

    name: str
    """The parameter's name; hyphens count as underscores."""
    text: str | None
    """What stands after the `=`; None: there is none, as in `--flag`."""
    argument: str
    """The whole word of the command line."""

    @classmethod
    def parse(cls, argument: str) -> Self:
        """The override that a word of the command line is.

        Raises:
            ValueError: it is none: it doesn't begin with two hyphens and a name.
        """
        key, equals, text = argument.partition("=")
        name = key.removeprefix(PREFIX if key.startswith(PREFIX) else "--").replace("-", "_")
        if not key.startswith("--") or not is_parameter(name):
            raise ValueError(f"'{argument}' is not an override; write --name=value")
        return cls(name, text if equals else None, argument)

    def target(self, parameters: Mapping[str, Parameter]) -> tuple[str, str | None]:
        """The parameter and the text that are meant: `--no-flag` means `flag` and `false`, where `flag` is a
        boolean."""
        positive = self.name.removeprefix("no_")
        known = self.name not in parameters and positive in parameters
        if self.text is None and known and parameters[positive].kind == "boolean":
            return positive, "false"
        return self.name, self.text


def parse(parameter: Parameter, text: str | None) -> Any:
    """The value that `text` means for the parameter; None as text is a flag without a value.

    Raises:
        ValueProblemError: (a ValueError) it means none that the parameter takes; the sentence names the parameter.
    """
    if parameter.type is not None:
        return annotated_overrides.parse(parameter.type, text, parameter.name)
    try:
        return _parsed(parameter, text)
    except ValueProblemError as problem:
        problem.hint = _repaired(parameter, text) or problem.hint
        raise


def _parsed(parameter: Parameter, text: str | None) -> Any:
    if text is None:
        if parameter.kind == "boolean":
            return True
        raise ValueProblemError(f"{parameter.name} needs a value", TYPE, f"write {_option(parameter)}=VALUE")
    if parameter.kind in ("integer", "number") and not text.strip():
        return parameter.default
    if parameter.kind in ("path", "enum", "tuple", "dict", "date") and not text.strip():
        return accept(parameter, None)
    if parameter.kind in ("list", "tuple"):
        words = [word.strip() for word in text.split(",")] if text.strip() else []
        item: Kind = "enum" if parameter.choices else parameter.item
        return accept(parameter, [_value(item, word) for word in words])
    return accept(parameter, _value(parameter.kind, text))


def values_of(parameters: Mapping[str, Parameter], argv: Sequence[str]) -> dict[str, Any]:
    """The values that all words of `argv` mean, by parameter; of several for one parameter the last one counts.

    Raises:
        ValueError: a word is no override, names no settable parameter, or its value is not taken.
    """
    values: dict[str, Any] = {}
    for override in map(Override.parse, argv):
        name, text = override.target(parameters)
        if name not in parameters or not parameters[name].settable:
            raise ValueError(f"there is no parameter '{name}'")
        values[name] = parse(parameters[name], text)
    return values


def _option(parameter: Parameter) -> str:
    return f"{PREFIX if parameter.name in OPTIONS else '--'}{parameter.name}"


def _repaired(parameter: Parameter, text: str | None) -> str:
    """The hint that shows `text` as it was most likely meant, where the parameter takes that; else ''."""
    for repaired in _repairs(text or ""):
        with suppress(ValueProblemError):
            if repaired != text and repaired:
                _parsed(parameter, repaired)
                return f"write {_option(parameter)}={repaired}"
    return ""


def _repairs(text: str) -> Iterator[str]:
    """`text` without a second `=`, quotes or brackets, with hyphens for dashes, commas for spaces, a decimal point."""
    bare = re.sub(r"[\u2010-\u2015\u2212]", "-", text.removeprefix("=").strip().strip("'\"\u2018\u2019\u201c\u201d"))
    yield bare
    yield bare.removesuffix(".0")
    yield bare.replace(",", ".", 1)
    items = re.split(r"[\s,;]+", bare.strip("[]() "))
    yield ",".join(item.strip("'\"") for item in items)


def _value(kind: Kind, text: str) -> Any:
    """Plain data for `text`; text that is none of its kind stays text, and is refused with a sentence by `accept`."""
    word = text.strip()
    match kind:
        case "boolean":
            return True if word.lower() in TRUE else False if word.lower() in FALSE else text
        case "integer":
            return _converted(int, word, text)
        case "number":
            whole = _converted(int, word, text)
            return whole if isinstance(whole, int) else _converted(float, word, text)
        case "dict" | "any":
            return _from_json(text)
        case _:
            return text


def _converted(convert: type[int] | type[float], word: str, text: str) -> Any:
    try:
        number = convert(word)
    except ValueError:
        return text
    overflows = math.isinf(number) if isinstance(number, float) else False
    return text if overflows and "inf" not in word.lower() else number


def _from_json(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return text
    import json

    try:
        value = json.loads(text)
        return value if _depth(value) <= _DEEPEST else text
    except (ValueError, RecursionError):
        return text


def _depth(value: Any) -> int:
    """The levels of lists and mappings in `value`.

    Raises:
        RecursionError: it has more than Python goes down.
    """
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
