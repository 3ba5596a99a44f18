"""The schema file itself: standard, closed, explained, and no more than the evaluation knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from innereye_runtime.manifest.schema import KEYWORDS, departures, manifest_schema, schema_text

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
    parts = [(place, part) for place, part in subschemas(SCHEMA) if "/then" not in place and "/if" not in place]
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
    if place.rpartition("/")[2] not in ("container", "class"):  # nothing can stand in for these
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
    assert opened == ["args", "arguments"]


def test_no_keyword_is_used_that_the_evaluation_does_not_know() -> None:
    used = {keyword for _, part in subschemas(SCHEMA) for keyword in part}
    assert used <= KEYWORDS


def test_the_schema_is_read_once() -> None:
    assert manifest_schema() is manifest_schema()
