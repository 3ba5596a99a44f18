"""The effective manifest as text: read back equal by us, and as the same data by a reader of another make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from ruamel.yaml import YAML
from tests.manifest.strategies import MANIFESTS
from tests.manifest.test_properties import QUICK

from innereye_runtime.manifest.builder import build
from innereye_runtime.manifest.loading import parse
from innereye_runtime.manifest.model import Container, Dataset, Manifest
from innereye_runtime.manifest.serializer import dump, to_data

PLACE = Path("/project/manifests/m.yaml")
TEXTS = (
    *("on", "No", "y", "true", "null", "~", "1e-3", "1_000", "1:30", "2024-01-01", "0x1f", ".nan", "", "- a", "a: b"),
    *("a #b", "#", "*a", "&a", "!t", "%", "@", "{", "a, b", "'", '"', "\\", "\t", "\n", " a ", "é", "🧠", "\x00"),
    *("\u2028", "\ufeff", "a:", "-", "?", "~/x", "a/b.c-d", "=", "<<"),
)
SMALLEST = Manifest(path=None, name="A", container=Container(class_name="A"))


def with_args(**args: Any) -> Manifest:
    return replace(SMALLEST, container=Container(class_name="A", args=args))


def test_the_text_is_what_a_person_would_write() -> None:
    text = "schema: 1\ncontainer: {class: 'a.b:C', args: {l_rate: 1e-2, layers: [1, 2]}}\ndataset: {local: data}\n"
    manifest = parse(text.encode(), path=PLACE, source="m").manifest
    assert manifest is not None
    assert dump(manifest) == (
        "schema: 1\n"
        "name: C\n"
        "container:\n"
        "  class: a.b:C\n"
        "  args:\n"
        "    l_rate: 0.01\n"
        "    layers: [1, 2]\n"
        "dataset:\n"
        "  local: /project/manifests/data\n"
        "  mode: mount\n"
        "  strict: false\n"
        "compute:\n"
        "  target: process\n"
        "  gpus: none\n"
        "  nodes: 1\n"
        "  retries:\n"
        "    preempted: 3\n"
        "    infrastructure: 2\n"
        "    user: 0\n"
    )


@pytest.mark.parametrize("text", TEXTS)
def test_text_stays_text_for_every_reader(text: str) -> None:
    written = dump(with_args(x=text))
    loaded = parse(written.encode(), path=None, source="m")
    assert loaded.diagnostics == ()
    assert loaded.container == Container(class_name="A", args={"x": text})


@pytest.mark.parametrize("text", ["on", "No", "y", "1_000", "1:30", "2024-01-01"])
def test_text_that_yaml_1_1_reads_otherwise_is_in_quotes(text: str) -> None:
    assert f'x: "{text}"' in dump(with_args(x=text))


def test_lists_of_mappings_and_deep_values_read_back() -> None:
    value = {"a": [{"b": [1, {"c": None}]}, [], {}, [[{"d": "e"}]]], "empty": {}, "float": 1e300, "whole": 2.0}
    manifest = with_args(**value)
    loaded = parse(dump(manifest).encode(), path=None, source="m")
    assert loaded.container == manifest.container


def test_values_of_each_kind_are_written_as_a_person_would() -> None:
    value = {"yes": True, "no": False, "none": None, "pairs": [[{"a": 1, "b": "x y"}, {}], [1.5, -2]], "empty": [{}]}
    assert dump(with_args(value=value)).partition("    value:\n")[2].partition("compute:")[0] == (
        '      "yes": true\n'
        '      "no": false\n'
        "      none: null\n"
        '      pairs: [[{a: 1, b: "x y"}, {}], [1.5, -2]]\n'
        "      empty: [{}]\n"
    )


def test_a_long_text_is_in_quotes() -> None:
    assert f"x: {'a' * 199}\n" in dump(with_args(x="a" * 199))
    assert f'x: "{"a" * 200}"\n' in dump(with_args(x="a" * 200))


def test_several_datasets_are_a_list() -> None:
    datasets = (Dataset(id="a", local=Path("/a")), Dataset(id="b", local=Path("/b"), mode="download"))
    written = dump(replace(SMALLEST, datasets=datasets))
    assert "datasets:\n  - id: a\n    local: /a\n" in written
    loaded = parse(written.encode(), path=None, source="m").manifest
    assert loaded is not None
    assert loaded.datasets == datasets


@QUICK
@given(MANIFESTS)
def test_another_reader_reads_the_same_data(value: dict[str, Any]) -> None:
    manifest = build(value, path=PLACE, folder=PLACE.parent)
    assert YAML(typ="safe", pure=True).load(dump(manifest)) == to_data(manifest)
