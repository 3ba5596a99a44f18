"""The schema file itself: standard, closed, explained, and no more than the evaluation knows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from innereye_runtime.manifest.schema import departures, manifest_schema, schema_text

SCHEMA: dict[str, Any] = json.loads(schema_text())


def subschemas(schema: dict[str, Any], place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    yield place, schema
    for keyword in ("properties", "$defs"):
        for name, part in schema.get(keyword, {}).items():
            yield from subschemas(part, f"{place}/{keyword}/{name}")
    for keyword in ("allOf", "anyOf"):
        for index, part in enumerate(schema.get(keyword, ())):
            yield from subschemas(part, f"{place}/{keyword}/{index}")
    for keyword in ("items", "if", "then", "else", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(keyword), dict):
            yield from subschemas(schema[keyword], f"{place}/{keyword}")


def properties() -> list[tuple[str, dict[str, Any]]]:
    parts = [(place, part) for place, part in subschemas(SCHEMA) if not re.search("/(then|if|else)", place)]
    return [(place, part) for place, part in parts if place.split("/")[-2:-1] == ["properties"]]


def whole(part: dict[str, Any]) -> dict[str, Any]:
    return {**SCHEMA, **part, "required": []} if "$ref" in part else {"$defs": SCHEMA["$defs"], **part}


def test_it_is_json_schema_2020_12() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_file_in_the_repository_is_the_one_that_is_used() -> None:
    root = Path(__file__).resolve().parents[2]
    assert (root / "schema" / "manifest.schema.json").read_text() == schema_text()


@pytest.mark.parametrize(("place", "part"), properties(), ids=[place for place, _ in properties()])
def test_each_property_has_a_description_a_default_and_examples(place: str, part: dict[str, Any]) -> None:
    assert part["description"].endswith(".")
    assert "default" in part
    assert part["examples"]
    resolved = {**SCHEMA["$defs"].get(part.get("$ref", "").rpartition("/")[2], {}), **part, "$defs": SCHEMA["$defs"]}
    for example in part["examples"]:
        jsonschema.Draft202012Validator(resolved).validate(example)
        assert departures(example, resolved) == []
    if place.rpartition("/")[2] not in ("container", "class", "model", "data"):  # nothing can stand in for these
        jsonschema.Draft202012Validator(resolved).validate(part["default"])


def test_there_are_as_many_properties_as_the_contract_names() -> None:
    names = {place.rpartition("/")[2] for place, _ in properties()}
    assert names >= {
        *("schema", "name", "container", "class", "namespaces", "args", "dataset", "datasets", "id", "local", "mode"),
        *("sha256", "trainer", "num_epochs", "arguments", "compute", "target", "gpus", "nodes", "shm_size"),
        *("max_duration", "retries", "preempted", "infrastructure", "user", "docker", "image", "memory", "cpus"),
        *("azureml", "subscription_id", "resource_group", "workspace", "cluster", "experiment", "outputs", "folder"),
        *("instance_type", "identity", "datastore", "tags"),
        *("expect", "environment", "secrets"),
    }


def test_every_mapping_is_closed_but_the_free_ones() -> None:
    mappings = [(place, part) for place, part in subschemas(SCHEMA) if part.get("type") == "object"]
    opened = [
        place.rpartition("/")[2]
        for place, part in mappings
        if "additionalProperties" not in part and part.get("unevaluatedProperties") is not False
    ]
    assert opened == ["args", "args", "args", "arguments", "job"]


def test_no_keyword_is_used_that_the_messages_do_not_know() -> None:
    used = {keyword for _, part in subschemas(SCHEMA) for keyword in part}
    assert used <= {
        *("$schema", "$defs", "$ref", "title", "description", "default", "examples"),
        *("type", "properties", "required", "additionalProperties", "unevaluatedProperties", "propertyNames", "items"),
        *("allOf", "anyOf", "if", "then", "else", "const", "enum", "pattern", "uniqueItems"),
        *("minLength", "maxLength", "minimum", "maximum", "minItems"),
    }


def test_a_branch_names_no_key_that_the_mapping_itself_does_not() -> None:
    # The unknown keys of a mapping with `unevaluatedProperties` are those that its own `properties` lack.
    for place, part in subschemas(SCHEMA):
        if "unevaluatedProperties" in part:
            branches = [branch for where, branch in subschemas(part) if "/properties/" not in where]
            assert {name for branch in branches for name in branch.get("properties", {})} <= {*part["properties"]}, (
                place
            )


def found(value: object, **schema: object) -> list[tuple[tuple[str | int, ...], str]]:
    return [(departure.path, departure.keyword) for departure in departures(value, schema)]


def test_each_error_of_the_library_is_told_with_its_place() -> None:
    numbers = {"type": "array", "items": {"type": "integer", "enum": [1, 2]}}
    assert found([1, 1.0, True, 3], **numbers) == [((1,), "type"), ((2,), "type"), ((3,), "enum")]
    closed = {"properties": {"a": {}}, "required": ["a", "b"], "additionalProperties": False}
    assert found({"c": 1}, **closed) == [(("a",), "required"), (("b",), "required"), (("c",), "unknown")]
    short = {"pattern": "^.$", "maxLength": 1}
    assert found({"a b": 1, "c": "d"}, propertyNames=short) == [(("a b",), "propertyNames")]
    assert found({"c": 1}, properties={"a": {}}, unevaluatedProperties=False) == [(("c",), "unknown")]
    several = {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 1}, {"type": "array", "minItems": 1}]}
    assert found(0, **several) == [((), "minimum")]
    assert found([], **several) == [((), "minItems")]
    assert found(None, **several) == [((), "anyOf")]


def test_the_three_departures_from_the_standard() -> None:
    assert found(1.0, type="integer") == [((), "type")]
    assert found(1.0, const=1) == found(True, const=1) == [((), "const")]
    assert found("a\n", pattern="^a$") == [((), "pattern")]


def test_what_stands_beside_a_reference_wins() -> None:
    text = {"type": "string", "title": "a"}
    schema = {"$defs": {"a": text}, "properties": {"b": {"$ref": "#/$defs/a", "title": "b"}}}
    assert [departure.schema["title"] for departure in departures({"b": 1}, schema)] == ["b"]


def test_the_schema_is_read_once() -> None:
    assert manifest_schema() is manifest_schema()
