"""The manifest's JSON Schema, and every place where a value departs from it.

The schema file is standard JSON Schema 2020-12, for editors too. It is evaluated here, and not by a library, because
the whole of `innereye-run validate` has to start, read and answer in a tenth of a second: importing jsonschema takes
80 ms and jsonschema-rs 25 ms, this module 2 ms. It knows the keywords that the schema uses (`KEYWORDS`; a test holds
the file to them) and is compared with jsonschema in the tests. It departs from the standard on purpose in two places:
`1.0` is no integer and not the constant 1, as in Python, and `$` does not match before a line break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.yaml import document

Schema = Mapping[str, Any]

_FILE = "manifest.schema.json"


@cache
def schema_text() -> str:
    """The text of schema/manifest.schema.json, from the installed package or from the source tree."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "schema" / _FILE
    return (shipped if shipped.is_file() else package.parent.parent / "schema" / _FILE).read_text(encoding="utf-8")


@cache
def manifest_schema() -> Schema:
    """The schema as data; not to be changed."""
    schema: Schema = json.loads(schema_text())
    return schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """One keyword of the schema that the value at `path` does not meet."""

    path: document.Path
    """Of the value; for a key that is unknown or missing: the path that it has or would have."""
    keyword: str
    value: Any
    schema: Schema
    """The subschema that holds `keyword`, with `$ref` resolved."""


def departures(value: Any, schema: Schema | None = None) -> list[Departure]:
    """Every place where `value` (plain data) departs from the schema; an empty list says that it is valid."""
    root = manifest_schema() if schema is None else schema
    return list(_Evaluation(root).check(value, root, ()))


class _Evaluation:
    """One walk over a value. `seen` collects, for each mapping's path, the keys that some subschema has looked at."""

    def __init__(self, root: Schema) -> None:
        self.root = root
        self.seen: dict[document.Path, set[str]] = {}

    def resolve(self, schema: Schema) -> Schema:
        """The schema with what its `$ref` points to; keywords beside the `$ref` win, as descriptions do here."""
        while "$ref" in schema:
            target: Any = self.root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def check(self, value: Any, schema: Schema, path: document.Path) -> Iterator[Departure]:
        schema = self.resolve(schema)
        if "type" in schema and not _is(value, schema["type"]):
            yield Departure(path=path, keyword="type", value=value, schema=schema)
            return  # what other keywords would say of a value of another type is noise
        for keyword in schema:
            if keyword in _SIMPLE and not _SIMPLE[keyword](value, schema[keyword]):
                yield Departure(path=path, keyword=keyword, value=value, schema=schema)
        if isinstance(value, dict):
            yield from self._mapping(value, schema, path)
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self.check(item, schema["items"], (*path, index))
        yield from self._combined(value, schema, path)
        if isinstance(value, dict) and schema.get("unevaluatedProperties") is False:
            for name in value.keys() - self.seen.get(path, set()):
                yield Departure(path=(*path, name), keyword="unknown", value=value[name], schema=schema)

    def _mapping(self, value: dict[str, Any], schema: Schema, path: document.Path) -> Iterator[Departure]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name in schema.get("required", ()):
            if name not in value:
                yield Departure(path=(*path, name), keyword="required", value=None, schema=schema)
        for name, item in value.items():
            if "propertyNames" in schema and list(self.check(name, schema["propertyNames"], path)):
                yield Departure(path=(*path, name), keyword="propertyNames", value=name, schema=schema["propertyNames"])
            if name in properties:
                self.seen.setdefault(path, set()).add(name)
                yield from self.check(item, properties[name], (*path, name))
            elif others is False:
                yield Departure(path=(*path, name), keyword="unknown", value=item, schema=schema)
            elif others is not None:
                yield from self.check(item, others, (*path, name))

    def _combined(self, value: Any, schema: Schema, path: document.Path) -> Iterator[Departure]:
        for part in schema.get("allOf", ()):
            yield from self.check(value, part, path)
        if "if" in schema:
            branch = "else" if list(self.check(value, schema["if"], path)) else "then"
            yield from self.check(value, schema.get(branch, {}), path)
        if "anyOf" in schema:
            tried = [list(self.check(value, part, path)) for part in schema["anyOf"]]
            if all(tried):
                fitting = [
                    found
                    for found, part in zip(tried, schema["anyOf"], strict=True)
                    if _is(value, part["type"]) and not isinstance(value, str)
                ]
                yield from (
                    fitting[0] if fitting else (Departure(path=path, keyword="anyOf", value=value, schema=schema),)
                )


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


def same(a: Any, b: Any) -> bool:
    """Equal as JSON has it: `True` is not 1."""
    return type(a) is type(b) and bool(a == b)


def second_of_two(items: list[Any]) -> int | None:
    """The index of the first item that was there before; None where all differ."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if (text := json.dumps(item, sort_keys=True)) in seen:
            return index
        seen.add(text)
    return None


def _on(kind: type | tuple[type, ...], test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, limit: not isinstance(value, kind) or isinstance(value, bool) or test(value, limit)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\$$", r"\\Z", text))


_NUMBER = (int, float)
_SIMPLE: Mapping[str, Callable[[Any, Any], bool]] = {
    "const": same,
    "enum": lambda value, choices: any(same(value, choice) for choice in choices),
    "pattern": _on(str, lambda value, pattern: _pattern(pattern).search(value) is not None),
    "minLength": _on(str, lambda value, limit: len(value) >= limit),
    "maxLength": _on(str, lambda value, limit: len(value) <= limit),
    "minimum": _on(_NUMBER, lambda value, limit: value >= limit),
    "maximum": _on(_NUMBER, lambda value, limit: value <= limit),
    "minItems": _on(list, lambda value, limit: len(value) >= limit),
    "uniqueItems": _on(list, lambda value, wanted: second_of_two(value) is None),
}

KEYWORDS = frozenset(_SIMPLE) | {
    *("$schema", "$defs", "$ref", "title", "description", "default", "examples"),
    *("type", "properties", "required", "additionalProperties", "unevaluatedProperties", "propertyNames", "items"),
    *("allOf", "anyOf", "if", "then", "else"),
}
"""Every keyword that the evaluation knows."""
