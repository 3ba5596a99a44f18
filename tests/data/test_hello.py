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


Trained = Callable[[str], tuple[str, dict[str, Any]]]


@pytest.fixture
def trained(needs: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Trained:
    """Trains hello on a dataset as a manifest names it: the sha256 of the weights, and what run.json says of it."""
    needs("torch")

    def run(dataset: str) -> tuple[str, dict[str, Any]]:
        manifest = tmp_path / "hello.yaml"
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

    return run


@pytest.fixture
def hello(container: Container) -> str:
    """hello's dataset in the blob store."""
    container.put({f"hello/{path.name}": path.read_bytes() for path in HELLO.iterdir()})
    return f"id: '{container.url('hello')}'"


def test_the_weights_are_the_same_from_a_folder_a_download_and_the_cache(trained: Trained, hello: str) -> None:
    runs = [trained(f"local: '{HELLO}'"), trained(f"{hello}, mode: download"), trained(f"{hello}, mode: auto")]
    assert [described["mode"] for _, described in runs] == ["mount", "download", "download"]
    assert runs[1][1]["seconds"] > 0
    assert runs[2][1]["seconds"] == 0
    assert len({described["sha256"] for _, described in runs}) == 1
    assert len({weights for weights, _ in runs}) == 1


def test_the_weights_are_the_same_from_a_mount(needs: Callable[..., None], trained: Trained, hello: str) -> None:
    needs("fuse")
    runs = [trained(f"local: '{HELLO}'"), trained(f"{hello}, mode: mount, strict: true")]
    assert runs[1][1]["source"].startswith("azure://")
    assert runs[1][1]["mode"] == "mount"
    assert runs[0][1]["sha256"] == runs[1][1]["sha256"]
    assert runs[0][0] == runs[1][0]
