"""Any valid manifest reads back as itself; any one mutation of it is valid too, or told inside the mutated lines."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.manifest.strategies import FREE, MANIFESTS, MUTATIONS, Edit, document_of

from innereye_runtime.diagnostics.rendering import render
from innereye_runtime.manifest.builder import build
from innereye_runtime.manifest.loading import parse
from innereye_runtime.manifest.schema import departures, manifest_schema, same
from innereye_runtime.manifest.serializer import dump, to_data

PLACE = Path("/project/manifests/m.yaml")
EXAMPLES = 100 if os.environ.get("CI") == "true" else 60
QUICK = settings(
    deadline=None, max_examples=EXAMPLES, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def written(value: dict[str, Any]) -> str:
    return dump(build(value, path=PLACE, folder=PLACE.parent))


@QUICK
@given(MANIFESTS)
def test_a_manifest_reads_back_as_itself(value: dict[str, Any]) -> None:
    manifest = build(value, path=PLACE, folder=PLACE.parent)
    text = dump(manifest)
    loaded = parse(text.encode(), path=Path("/elsewhere/manifest.yaml"), source="m.yaml")
    assert loaded.manifest is not None, render(loaded.diagnostics, "text") + text
    assert replace(loaded.manifest, path=PLACE) == manifest
    assert to_data(loaded.manifest) == to_data(manifest)
    assert dump(loaded.manifest) == text


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda edit: edit.__name__)
@QUICK
@given(value=MANIFESTS, data=st.data())
def test_a_mutation_is_still_valid_or_told_where_it_is(
    mutate: Edit, value: dict[str, Any], data: st.DataObject
) -> None:
    text = written(value)
    mutation = mutate(data, document_of(text), text)
    if mutation is None:
        return
    found = parse(mutation.text.encode(), path=PLACE, source="m.yaml").diagnostics
    assert not found or any(d.span.line in mutation.lines for d in found), (
        f"{mutation.name}, lines {mutation.lines}\n{mutation.text}\n{render(found, 'text')}"
    )
    for format in ("json", "github", "sarif"):
        render(found, format)


def standard(value: Any) -> set[str]:
    """The verdict of jsonschema, an integer being one as Python has it: the keywords that it finds at fault."""
    checker = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, item: isinstance(item, int) and not isinstance(item, bool)
    )
    extend: Any = jsonschema.validators.extend
    validator = extend(jsonschema.Draft202012Validator, type_checker=checker)
    names = {"additionalProperties": "unknown", "unevaluatedProperties": "unknown", "const": "const"}
    return {names.get(str(e.validator), str(e.validator)) for e in validator(manifest_schema()).iter_errors(value)}


@QUICK
@given(MANIFESTS, st.data())
def test_the_verdict_on_the_schema_is_that_of_jsonschema(value: dict[str, Any], data: st.DataObject) -> None:
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [value]
    while waiting:
        part = waiting.pop()
        steps = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else []
        places += [(part, step) for step in steps]
        waiting += [part[step] for step in steps]
    part, step = data.draw(st.sampled_from(places))
    if isinstance(part, dict) and data.draw(st.booleans()):
        part[data.draw(st.sampled_from(["x", "clas", "target", "image"]))] = part.pop(step)
    else:
        part[step] = data.draw(FREE | st.sampled_from(["2g", 1.0, True, "azureml", [0, 0], [0, False], "x\n", {}, []]))
    mine, theirs = {departure.keyword for departure in departures(value)}, standard(value)
    if not _ends_in_a_line_break(value) and not isinstance(value.get("schema"), float):
        assert bool(mine) == bool(theirs)
        assert mine - {"type", "minimum", "minItems", "uniqueItems", "anyOf", "propertyNames"} <= theirs | {
            "pattern",
            "unknown",
        }


def _ends_in_a_line_break(value: Any) -> bool:
    if isinstance(value, str):
        return value.endswith("\n")
    parts = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return any(map(_ends_in_a_line_break, parts))


def test_true_is_not_one() -> None:
    assert not same(True, 1)
    assert not same(1.0, 1)
    assert same("a", "a")
