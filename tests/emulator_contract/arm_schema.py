"""One api-version of the ARM deployment schema, made strict: the bodies of PUT, for versions without Swagger
files.

As it is, it says `additionalProperties: false` on one branch of an allOf, which no polymorphic body can satisfy, and it
takes any "[expression]" of an ARM template for any value.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from tests.emulator_contract.schema_errors import schema_errors

_CLOSED, _OPEN = "#/definitions/", "#/open/"


class ArmSchema:
    def __init__(self, file: Path) -> None:
        raw = json.loads(file.read_text(encoding="utf-8"))
        self._resources = raw["resourceDefinitions"]
        definitions = {name: _relax(schema) for name, schema in raw["definitions"].items()}
        # Two copies of each definition: as a property's value it is closed, as a part of an allOf it stays open.
        self._schema = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "definitions": {name: _point(_close(schema)) for name, schema in definitions.items()},
            "open": {name: _point(schema) for name, schema in definitions.items()},
        }

    def errors(self, resource: str, body: Any) -> list[str]:
        """Violations of the schema of `resource` (`workspaces_jobs`) by the `properties` of a body."""
        properties = self._resources[resource]["properties"]["properties"]
        name = json.dumps(properties).split(_CLOSED)[1].split('"')[0]
        validator = Draft202012Validator({**self._schema, "$ref": _CLOSED + name})
        found = schema_errors(validator.iter_errors(body.get("properties")), self._look_up)
        return [f"$.properties{error[1:]}" for error in found]

    def _look_up(self, reference: str) -> Any:
        _, kind, name = reference.split("/")
        return self._schema[kind][name]  # type: ignore[index]


def _relax(schema: Any) -> Any:
    """Without descriptions, template expressions and the `additionalProperties: false` of single branches."""
    if isinstance(schema, list):
        return [_relax(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" in schema:
        branches = [part for part in schema["oneOf"] if "expression" not in part.get("$ref", "")]
        others = {keyword: value for keyword, value in schema.items() if keyword != "oneOf"}
        if len(branches) == 1 and len(schema["oneOf"]) > 1:
            return _relax({**others, **branches[0]})
        schema = {**others, "oneOf": branches}
    made = {}
    for keyword, value in schema.items():
        if keyword == "description" or (keyword == "additionalProperties" and value is False):
            continue
        if keyword in ("properties", "definitions"):
            made[keyword] = {name: _relax(part) for name, part in value.items()}
        else:
            made[keyword] = _relax(value)
    return made


def _close(schema: Any) -> Any:
    is_object = schema.get("type") == "object" or "allOf" in schema
    return {**schema, "unevaluatedProperties": False} if is_object and "additionalProperties" not in schema else schema


def _point(schema: Any, *, inside: bool = False) -> Any:
    """References that are parts of a whole (below allOf, or a oneOf within one) lead to the open copies."""
    if isinstance(schema, list):
        return [_point(part, inside=inside) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for keyword, value in schema.items():
        if keyword == "$ref":
            made[keyword] = value.replace(_CLOSED, _OPEN) if inside else value
        else:
            made[keyword] = _point(value, inside=keyword == "allOf" or (inside and keyword == "oneOf"))
    return made
