"""The manifest's JSON Schema, and every place where a value departs from it.

The schema file is standard JSON Schema 2020-12, for editors too, and is evaluated by jsonschema, which is imported
where a manifest is checked and not before. It departs from the standard on purpose in three places: `1.0` is not an
integer and not the constant 1, as in Python, and `$` does not match before a line break.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.manifest.yaml import document

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]

_FILE = "manifest.schema.json"
_MOST = 10_000
"""Errors that are looked at, more than a text of the size limit has by mistake: a hostile one must not cost seconds."""


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
    """The places where `value` (plain data) departs from the schema; an empty list says that it is valid."""
    root = manifest_schema() if schema is None else schema
    validator = _validator_class()(_without_references(root, root))
    found = _departures(islice(validator.iter_errors(value), _MOST))
    return list({(departure.path, departure.keyword): departure for departure in found}.values())


def _without_references(schema: Any, root: Schema) -> Any:
    """The schema with what each `$ref` points to in its place; keywords beside the `$ref` win, as descriptions do."""
    if isinstance(schema, list):
        return [_without_references(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        beside = {keyword: part for keyword, part in schema.items() if keyword != "$ref"}
        return _without_references({**target, **beside}, root)
    return {keyword: _without_references(part, root) for keyword, part in schema.items() if keyword != "$defs"}


@cache
def _validator_class() -> type[Validator]:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import extend

    def const(validator: Validator, wanted: Any, value: Any, schema: Schema) -> Iterator[ValidationError]:
        if not same(value, wanted):
            yield ValidationError("is not the constant")

    def pattern(validator: Validator, pattern: str, value: Any, schema: Schema) -> Iterator[ValidationError]:
        if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
            yield ValidationError("does not match the pattern")

    def unique(validator: Validator, wanted: bool, value: Any, schema: Schema) -> Iterator[ValidationError]:
        """The library's takes the square of the items' number where they can't be sorted."""
        if wanted and isinstance(value, list) and second_of_two(value) is not None:
            yield ValidationError("has an item twice")

    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    return extend(  # type: ignore[no-any-return,no-untyped-call]
        Draft202012Validator, {"const": const, "pattern": pattern, "uniqueItems": unique}, type_checker=types
    )


def _departures(errors: Iterable[ValidationError]) -> Iterator[Departure]:
    """One or more for each error, and no other one for a value that is of the wrong type."""
    found = list(errors)
    wrong_types = {(tuple(error.absolute_path), id(error.schema)) for error in found if error.validator == "type"}
    for error in found:
        if error.validator == "type" or (tuple(error.absolute_path), id(error.schema)) not in wrong_types:
            yield from _of_error(error)


def _of_error(error: ValidationError) -> Iterator[Departure]:
    path, keyword = tuple(error.absolute_path), str(error.validator)
    value: Any = error.instance
    schema: Any = error.schema
    if len(error.schema_path) > 1 and error.schema_path[-2] == "propertyNames":
        yield Departure(path=(*path, value), keyword="propertyNames", value=value, schema=schema)
    elif keyword == "required":  # the library has an error for each of them, which names it in its message alone
        for name in schema["required"]:
            if name not in value:
                yield Departure(path=(*path, name), keyword=keyword, value=None, schema=schema)
    elif keyword in ("additionalProperties", "unevaluatedProperties"):
        unknown = [name for name in value if name not in schema["properties"]] or list(value)
        for name in unknown:
            yield Departure(path=(*path, name), keyword="unknown", value=value[name], schema=schema)
    elif keyword == "anyOf" and (fitting := _fitting(error)):
        yield from _departures(fitting)
    else:
        yield Departure(path=path, keyword=keyword, value=value, schema=schema)


def _fitting(error: ValidationError) -> list[ValidationError]:
    """What the first of several alternatives finds that the value has the type of; text fits none."""
    if isinstance(error.instance, str):
        return []
    for index in range(len(error.validator_value)):  # type: ignore[arg-type]
        found = [one for one in error.context if one.relative_schema_path[0] == index]
        if not any(list(one.relative_schema_path) == [index, "type"] for one in found):
            return found
    return []


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
