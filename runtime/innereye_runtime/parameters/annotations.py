"""The type of an argument of a class's `__init__`, as its annotation says it: which values it takes, in a manifest and
on the command line."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from innereye_runtime.manifest.yaml.scalars import resolve
from innereye_runtime.parameters.values import CHOICE, LENGTH, TYPE, ValueProblemError, shown

TypeName = Literal[
    "any", "boolean", "integer", "number", "string", "path", "none", "choice", "enum", "list", "tuple", "dict", "union",
    "object", "unwritable",
]  # fmt: skip

_NOUNS: Final[dict[str, str]] = {
    "any": "a value",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "path": "a path",
    "none": "null",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
}
_PLURALS: Final[dict[str, str]] = {
    "integer": "whole numbers",
    "number": "numbers",
    "string": "text",
    "path": "paths",
}
_EXAMPLES: Final[dict[str, str]] = {
    "boolean": "true",
    "integer": "1",
    "number": "0.1",
    "string": "text",
    "path": "folder",
    "none": "null",
    "list": "[]",
    "tuple": "[]",
    "dict": "{}",
}
REFERENCE: Final = re.compile(r"\$\{([^{}]*)\}")
"""What stands for a path that only the run knows: `${dataset}`."""
NUMBERS: Final = ("${fold}", "${splits}")
"""What stands for a whole number of a cross-validation."""


@dataclass(frozen=True, slots=True)
class Type:
    """One annotation. `any` also stands for one that can't be read."""

    name: TypeName
    items: tuple[Type, ...] = ()
    """Of a list: the type of its items; of a tuple: that of each; of a dict: that of its values; of a union: all of
    it."""
    choices: tuple[Any, ...] = ()
    """Of a Literal: its values; of an enum: the names of its members."""
    values: tuple[Any, ...] = ()
    """Of an enum: the values of its members, which are taken too."""
    length: int | None = None
    """Of a tuple; None: any."""
    label: str = ""
    """Of an object: its class."""

    @property
    def optional(self) -> bool:
        """None is a value."""
        return self.name in ("any", "none") or (self.name == "union" and any(item.optional for item in self.items))

    @property
    def takes_object(self) -> bool:
        """Whether `{class: ..., args: ...}` is an object for it, and not a mapping with these keys."""
        names = {each.name for each in (self, *self.items)} if self.name == "union" else {self.name}
        return "dict" not in names and bool(names & {"any", "object"})

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes whose objects it takes; (): any, or none."""
        parts = self.items if self.name == "union" else (self,)
        return tuple(each.label.rpartition(".")[2] for each in parts if each.name == "object")

    @property
    def noun(self) -> str:
        """The type in a sentence."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        if self.name == "union":
            nouns = list(dict.fromkeys(item.noun for item in self.items))
            return f"{', '.join(nouns[:-1])} or {nouns[-1]}" if len(nouns) > 1 else nouns[0]
        if self.name in ("object", "unwritable"):
            of_class = f"an object of {self.label}" if self.label != CALLABLE else "an object that can be called"
            return of_class if self.name == "object" else self.label
        if self.name in ("list", "tuple") and len(set(self.items)) == 1 and self.items[0].name in _PLURALS:
            return f"a list of {_PLURALS[self.items[0].name]}"
        return _NOUNS[self.name]

    @property
    def example(self) -> str:
        """A value as a manifest would have it, for a message."""
        if self.choices:
            return str(self.choices[0])
        if self.name == "union":
            return self.items[0].example
        if self.name == "object":
            return f"{{class: package.module:{_class_name(self.label)}}}"
        return _EXAMPLES.get(self.name, "VALUE")


CALLABLE: Final = "Callable"
"""The label of an object that is called, of whatever class."""
ANY: Final = Type("any")
NONE: Final = Type("none")


def accept(type_: Type, value: Any, name: str) -> Any:
    """`value` (plain data, as a manifest has it) as it is handed over: a Path for a path, the exact choice. Text with a
    `${dataset}` in it stays text where text or a path is taken, `${fold}` also where a whole number is.

    Raises:
        ValueProblemError: the type does not take it; the sentence begins with `name`.
    """
    if type_.name != "dict":
        _refuse_foreign(value, name)
    match type_.name:
        case "any":
            return value
        case "union":
            return _union(type_, value, name)
        case "list" | "tuple":
            return _items(type_, value, name)
        case "dict" if isinstance(value, dict):
            of = type_.items[0] if type_.items else ANY
            return {key: accept(of, item, f"{name}.{key}") for key, item in value.items()}
        case "choice" | "enum":
            return _choice(type_, value, name)
        case _:
            return _scalar(type_, value, name)


def has_reference(value: Any) -> bool:
    """Whether it is text with a `${...}` in it."""
    return isinstance(value, str) and REFERENCE.search(value) is not None


def is_class(value: Any) -> bool:
    """Whether `value` is an object as a manifest writes it: `{class: package.module:ClassName, args: {...}}`."""
    return isinstance(value, dict) and isinstance(value.get("class"), str) and value.keys() <= {"class", "args"}


def json_schema(type_: Type) -> dict[str, Any]:
    """The values of the type as JSON Schema."""
    match type_.name:
        case "boolean" | "integer" | "number":
            return {"type": type_.name}
        case "string" | "path":
            return {"type": "string"}
        case "none":
            return {"type": "null"}
        case "choice" | "enum":
            return {"enum": [*type_.choices, *(value for value in type_.values if value not in type_.choices)]}
        case "list" | "tuple":
            items = json_schema(type_.items[0]) if type_.items and len(set(type_.items)) == 1 else {}
            length = {"minItems": type_.length, "maxItems": type_.length} if type_.length is not None else {}
            return {"type": "array", **({"items": items} if items else {}), **length}
        case "dict":
            return {"type": "object"}
        case "union":
            parts = [json_schema(item) for item in type_.items]
            return {"anyOf": parts} if all(parts) else {}
        case "object":
            return {
                "type": "object",
                "required": ["class"],
                "properties": {"class": {"type": "string"}, "args": {"type": "object"}},
                "additionalProperties": False,
            }
        case _:
            return {}


def _union(type_: Type, value: Any, name: str) -> Any:
    problems: list[ValueProblemError] = []
    ordered = sorted(type_.items, key=lambda item: item.name == "path")  # text stays text where both are taken
    for item in ordered:
        try:
            return accept(item, value, name)
        except ValueProblemError as problem:
            problems.append(problem)
    hint = next((problem.hint for problem in problems if problem.hint), "")
    other = [problem for item, problem in zip(ordered, problems, strict=True) if item.name != "none"]
    if len(other) == 1 and not (other[0].reason == TYPE and str(other[0]).startswith(f"{name} must be ")):
        raise other[0]  # of an item of the value, or of another kind than null would be
    raise ValueProblemError(f"{name} must be {type_.noun}, not {shown(value)}", TYPE, hint)


def _items(type_: Type, value: Any, name: str) -> Any:
    if not isinstance(value, list | tuple):
        hint = "" if isinstance(value, dict) else f"write [{shown(value)}]"
        raise ValueProblemError(f"{name} must be {type_.noun}, not {shown(value)}", TYPE, hint)
    if type_.length is not None and len(value) != type_.length:
        raise ValueProblemError(f"{name} must have {type_.length} items, not {len(value)}", LENGTH)
    each = type_.items if type_.length is not None and len(type_.items) == len(value) else type_.items[:1] or (ANY,)
    return [
        accept(each[index] if len(each) > 1 else each[0], item, f"item {index + 1} of {name}")
        for index, item in enumerate(value)
    ]


def _choice(type_: Type, value: Any, name: str) -> Any:
    for choice, held in zip(type_.choices, type_.values or type_.choices, strict=True):
        if any(given == value and isinstance(given, bool) == isinstance(value, bool) for given in (choice, held)):
            return choice
    from difflib import get_close_matches

    known = [str(choice) for choice in type_.choices]
    near = get_close_matches(str(value).lower(), [choice.lower() for choice in known], 1)
    hint = next((f"did you mean '{choice}'?" for choice in known if near and choice.lower() == near[0]), "")
    raise ValueProblemError(f"{name} must be {type_.noun}, not {shown(value)}", CHOICE, hint)


def _scalar(type_: Type, value: Any, name: str) -> Any:
    kind = type_.name
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "integer" and ((is_number and isinstance(value, int)) or value in NUMBERS):
        return value
    if kind == "number" and is_number and not math.isnan(value):
        return value
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "path" and (isinstance(value, Path) or (isinstance(value, str) and value.strip())):
        return value if has_reference(value) else Path(value)
    if kind == "none" and value is None:
        return None
    if kind == "object" and is_class(value):
        return value
    raise ValueProblemError(f"{name} must be {type_.noun}, not {shown(value)}", TYPE, _hint(type_, value))


def _hint(type_: Type, value: Any) -> str:
    if type_.name == "object":
        return f"write {{class: package.module:{_class_name(type_.label)}, args: {{...}}}}"
    if type_.name == "unwritable":
        return "a manifest holds values: give its name as text, and look it up in the class"
    if type_.name == "integer" and isinstance(value, float) and value.is_integer():
        return f"write {int(value)}"
    if type_.name == "string" and isinstance(value, bool | int | float):
        return f'write "{value}", in quotes'
    if isinstance(value, str) and type_.name in ("integer", "number", "boolean"):
        with suppress(ValueError):
            read = resolve(value.replace("_", "") or "~")
            if read is not None and not isinstance(read, str):
                accept(replace(type_, items=()), read, "")
                return f"write {value.replace('_', '')} without quotes"
    return ""


def _class_name(label: str) -> str:
    return "ClassName" if label == CALLABLE else label.rpartition(".")[2]


def _refuse_foreign(value: Any, name: str) -> None:
    """Explains an object that is written in the words of Lightning's own command line.

    Raises:
        ValueProblemError: it is one.
    """
    if isinstance(value, dict) and isinstance(value.get("class_path"), str):
        place = value["class_path"]
        written = place if ":" in place else ":".join(place.rpartition(".")[::2])
        raise ValueProblemError(
            f"{name} has class_path, a word of Lightning's command line",
            TYPE,
            f"write {{class: {written}, args: {{...}}}}: class_path is 'class', and init_args is 'args'",
        )
