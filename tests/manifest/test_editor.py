"""What an editor shows with our schema, asked of the real yaml-language-server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.manifest.language_server import LanguageServer

from innereye_runtime.manifest.loading import parse

ROOT = Path(__file__).resolve().parents[2]
VALID = "schema: 1\ncontainer:\n  class: HelloContainer\n"


@pytest.fixture(scope="module")
def server(needs: Callable[..., None]) -> Iterator[LanguageServer]:
    needs("node", "yaml-language-server")
    command = ROOT / "node_modules" / ".bin" / "yaml-language-server"
    with LanguageServer(command, ROOT / "schema" / "manifest.schema.json") as running:
        yield running


def labels(completion: Any) -> set[str]:
    items = completion["items"] if isinstance(completion, dict) else completion
    return {item["label"] for item in items}


def test_a_valid_manifest_shows_nothing(server: LanguageServer) -> None:
    text = (ROOT / "tests" / "manifest" / "golden" / "good" / "design.yaml").read_text()
    assert server.open("valid.yaml", text.partition("\n")[2]) == []


def test_an_unknown_key_is_marked_at_its_place(server: LanguageServer) -> None:
    found = server.open("unknown.yaml", VALID + "trainner: {num_epochs: 20}\n")
    assert [(d["range"]["start"], "trainner" in d["message"]) for d in found] == [({"line": 3, "character": 0}, True)]


def test_an_unknown_key_in_compute_is_marked_at_its_place(server: LanguageServer) -> None:
    found = server.open("unknown_in_compute.yaml", VALID + "compute:\n  target: docker\n  gpuz: all\n")
    assert [d["range"]["start"] for d in found] == [{"line": 5, "character": 2}]


def test_a_missing_key_is_named(server: LanguageServer) -> None:
    found = server.open("missing.yaml", "schema: 1\ncontainer:\n  namespaces: [my.own.configs]\n")
    assert len(found) == 1
    assert '"class"' in found[0]["message"]


def test_the_azureml_target_needs_its_cluster(server: LanguageServer) -> None:
    text = VALID + "compute:\n  target: azureml\n  azureml:\n    workspace: imaging\n"
    found = server.open("cluster.yaml", text)
    assert len(found) == 1
    assert '"cluster"' in found[0]["message"]


def test_completion_inside_compute_offers_its_keys(server: LanguageServer) -> None:
    server.open("complete.yaml", VALID + "compute:\n  target: docker\n  \n")
    offered = labels(server.at("completion", "complete.yaml", 5, 2))
    assert {"gpus", "nodes", "shm_size", "max_duration", "retries", "docker", "azureml"} <= offered
    assert "trainer" not in offered


def test_completion_inside_azureml_offers_its_keys(server: LanguageServer) -> None:
    server.open("azureml.yaml", VALID + "compute:\n  azureml:\n    \n")
    offered = labels(server.at("completion", "azureml.yaml", 5, 4))
    assert {"cluster", "instance_type", "identity", "datastore", "experiment", "tags", "image"} <= offered
    server.open("identity.yaml", VALID + "compute:\n  azureml:\n    identity: \n")
    assert {"token", "managed", "user"} <= labels(server.at("completion", "identity.yaml", 5, 14))
    assert "managed identity" in server.at("hover", "identity.yaml", 5, 6)["contents"]["value"]


def test_completion_offers_the_targets(server: LanguageServer) -> None:
    server.open("targets.yaml", VALID + "compute:\n  target: \n")
    assert {"process", "docker", "azureml"} <= labels(server.at("completion", "targets.yaml", 4, 10))


def test_what_completion_writes_is_valid(server: LanguageServer) -> None:
    server.open("insert.yaml", VALID + "\n")
    items = server.at("completion", "insert.yaml", 3, 0)
    items = items["items"] if isinstance(items, dict) else items
    texts = {item["label"]: item.get("insertText") or item["textEdit"]["newText"] for item in items}
    assert {"dataset", "trainer", "compute", "outputs", "environment", "secrets"} <= texts.keys()
    for label in ("trainer", "compute", "outputs", "secrets"):
        text = VALID + re.sub(r"\$\{\d+:(.*?)\}", r"\1", texts[label]) + "\n"
        assert parse(text.encode(), path=None, source="insert.yaml").diagnostics == ()


@pytest.mark.parametrize(
    ("line", "character", "said"),
    [
        (3, 2, "Where the job runs"),
        (4, 4, "this Python interpreter"),
        (5, 4, "Shared memory, which data loader workers use"),
        (6, 12, "Most memory that the job may use"),
    ],
)
def test_hover_tells_what_a_key_is_for(server: LanguageServer, line: int, character: int, said: str) -> None:
    text = VALID + "compute:\n  target: docker\n  shm_size: 2g\n  docker: {memory: 8g}\n"
    server.open(f"hover_{line}.yaml", text)
    assert said in server.at("hover", f"hover_{line}.yaml", line, character)["contents"]["value"]
