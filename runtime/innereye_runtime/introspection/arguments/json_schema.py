"""A container's parameters as JSON Schema, so that an editor completes and checks `container.args`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from innereye_runtime.introspection.static.signatures import Expression, Signature
from innereye_runtime.parameters.annotations import json_schema as annotation_schema
from innereye_runtime.parameters.parameter import UNKNOWN, Kind, Parameter
from innereye_runtime.parameters.values import plain

_TYPES: Final[dict[Kind, str]] = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "string": "string",
    "path": "string",
    "list": "array",
    "tuple": "array",
    "dict": "object",
    "date": "string",
}


def json_schema(parameters: Mapping[str, Parameter], title: str) -> dict[str, Any]:
    """The schema (2020-12) of `container.args` for a class with these `parameters`; closed, as unknown names are
    errors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "type": "object",
        "properties": {name: _property(each) for name, each in parameters.items() if each.settable},
        "additionalProperties": False,
    }


def signature_schema(signature: Signature) -> dict[str, Any]:
    """The schema of `model.args` or `data.args` for a class; open where the source does not show every argument."""
    known = signature.parameters.values()
    required = [each.name for each in known if each.required]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": signature.location.class_name,
        **({"description": signature.doc} if signature.doc else {}),
        "type": "object",
        "properties": {each.name: _argument(each) for each in known},
        **({"required": required} if required else {}),
        "additionalProperties": bool(signature.open),
    }


def _argument(parameter: Parameter) -> dict[str, Any]:
    assert parameter.type is not None
    found = annotation_schema(parameter.type)
    if parameter.required or isinstance(parameter.default, Expression):
        return found
    return {**found, "default": plain(parameter.default)}


def _property(parameter: Parameter) -> dict[str, Any]:
    found: dict[str, Any] = _constraints(parameter)
    if parameter.optional and found:
        found = {"anyOf": [found, {"type": "null"}]}
    if parameter.doc:
        found["description"] = parameter.doc
    if parameter.default is not UNKNOWN:
        found["default"] = plain(parameter.default)
    return found


def _constraints(parameter: Parameter) -> dict[str, Any]:
    match parameter.kind:
        case "any":
            return {}
        case "enum":
            return {"enum": [plain(choice) for choice in parameter.choices]} if parameter.choices else {}
        case "list":
            low, high = parameter.bounds
            limits = {"minItems": low or None, "maxItems": high}
            return {"type": "array", "items": _item(parameter), **_present(limits)}
        case "tuple":
            limits = {"minItems": parameter.length, "maxItems": parameter.length}
            return {"type": "array", "items": _item(parameter), **_present(limits)}
        case "integer" | "number":
            return {"type": _TYPES[parameter.kind], **_limits(parameter)}
        case _:
            return {"type": _TYPES[parameter.kind]}


def _item(parameter: Parameter) -> dict[str, Any]:
    if parameter.choices:
        return {"enum": [plain(choice) for choice in parameter.choices]}
    return {"type": _TYPES[parameter.item]} if parameter.item in _TYPES else {}


def _limits(parameter: Parameter) -> dict[str, Any]:
    (low, high), (with_low, with_high) = parameter.bounds, parameter.inclusive
    return _present(
        {"minimum" if with_low else "exclusiveMinimum": low, "maximum" if with_high else "exclusiveMaximum": high}
    )


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
