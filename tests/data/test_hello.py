"""The same dataset by every way that it can come, trained on: equal fingerprints, equal weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.store import Container

from innereye_runtime.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "data" / "hello"


def test_the_weights_are_the_same_however_the_dataset_comes(
    needs: Callable[..., None], container: Container, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    needs("torch", "fuse")
    container.put({f"hello/{path.name}": path.read_bytes() for path in HELLO.iterdir()})
    blobs = f"id: '{container.url('hello')}'"

    def trained(name: str, dataset: str) -> tuple[str, dict[str, Any]]:
        """The sha256 of the weights, and what run.json says of the dataset."""
        manifest = tmp_path / f"{name}.yaml"
        manifest.write_text(
            "schema: 1\ncontainer: {class: HelloContainer}\ntrainer: {num_epochs: 2}\n"
            f"dataset: {{{dataset}}}\noutputs: {{folder: outputs}}\n"
        )
        capfd.readouterr()
        code = main([str(manifest), "--json"])
        captured = capfd.readouterr()
        assert code == 0, captured.err
        told = json.loads(captured.out)
        (described,) = json.loads((Path(told["run"]) / "run.json").read_text())["datasets"]
        return told["weights_sha256"], described

    runs = {
        "local": trained("local", f"local: '{HELLO}'"),
        "cold": trained("cold", f"{blobs}, mode: download"),
        "warm": trained("warm", f"{blobs}, mode: auto"),
        "mount": trained("mount", f"{blobs}, mode: mount, strict: true"),
    }
    assert {name: described["mode"] for name, (_, described) in runs.items()} == {
        "local": "mount",
        "cold": "download",
        "warm": "download",
        "mount": "mount",
    }
    assert runs["cold"][1]["seconds"] > 0
    assert runs["warm"][1]["seconds"] == 0
    assert len({described["sha256"] for _, described in runs.values()}) == 1
    assert len({weights for weights, _ in runs.values()}) == 1
