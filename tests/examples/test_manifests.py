"""Every manifest that ships with the project: valid, planned, and run as its own comments tell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.examples.shipped import ROOT

MANIFESTS = sorted((ROOT / "manifests").glob("*.yaml"))
TARGETS = {"multi_node": "azureml", "azureml": "azureml"}
"""Of those that name another target than process."""


def name(path: Path) -> str:
    return path.stem


def innereye_run(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("innereye-run")
    return subprocess.run([program, *words], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the manifests and the data: what a manifest's relative paths lead to."""
    for folder in ("manifests", "data"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


def test_the_examples_are_those_of_the_contract() -> None:
    assert {path.stem for path in MANIFESTS} >= {
        "hello",
        "brain_segmentation",
        "multi_node",
        "azureml",
        "smoke",
        "sweep",
    }


@pytest.mark.parametrize("path", MANIFESTS, ids=name)
def test_a_manifest_is_valid_and_planned(path: Path) -> None:
    validated = innereye_run("validate", str(path))
    assert (validated.returncode, validated.stderr) == (0, "")
    planned = innereye_run("plan", "--json", str(path))
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["target"] == TARGETS.get(path.stem, "process")


@pytest.mark.parametrize("path", MANIFESTS, ids=name)
def test_its_first_lines_tell_how_to_use_it(path: Path) -> None:
    head = path.read_text().partition("\nschema: 1\n")[0]
    assert head.startswith("# yaml-language-server: $schema=../schema/manifest.schema.json\n")
    assert f"manifests/{path.name}" in head
    assert all(line.startswith("#") for line in head.splitlines())


RUN_ELSEWHERE = {"hello", "brain_segmentation", "sweep"}
"""Whole, by tests of their own."""


@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.stem not in RUN_ELSEWHERE], ids=name)
def test_a_manifest_runs_here(path: Path, project: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    done = innereye_run("--json", "--smoke", "--target", "process", f"manifests/{path.name}", cwd=project)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["state"] == "completed"
    assert innereye_run("verify", result["run"]).returncode == 0


def test_the_sweep_runs_each_fold_of_each_learning_rate(project: Path, needs: Callable[..., None]) -> None:
    needs("torch", "optuna")
    done = innereye_run("--json", "manifests/sweep.yaml", "--num_epochs=1", cwd=project)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    folder = Path(result["run"])
    records: list[dict[str, Any]] = [
        json.loads(file.read_text()) for file in sorted((folder / "trials").glob("*/run.json"))
    ]
    varied = [(record["arguments"]["l_rate"]["value"], record["seed"]) for record in records]
    assert varied == [(rate, seed) for rate in (0.01, 0.001) for seed in (42, 43, 44)]
    assert len({record["checkpoints"]["last"]["weights_sha256"] for record in records}) == 6
    assert (result["state"], result["trials"], result["best"]["parameters"]) == (
        "completed",
        {"completed": 6},
        {"l_rate": 0.01},
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    aucs = [record["metrics"]["test"]["test/auc"] for record in records[:3]]
    assert metrics["over_folds"][0]["mean"]["test"]["test/auc"] == pytest.approx(sum(aucs) / 3)
    assert innereye_run("verify", str(folder / "trials" / "004")).returncode == 0, "an ordinary run"
    resumed = innereye_run("resume", str(folder))
    assert (resumed.returncode, resumed.stdout.splitlines()[-1]) == (0, str(folder))
    assert [json.loads(file.read_text()) for file in sorted(folder.glob("trials/*/run.json"))] == records


def test_the_folds_share_out_the_patients_that_are_not_for_testing(
    needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("torch")
    import numpy as np
    import torch

    from innereye_runtime.examples import hello

    table = np.arange(60.0)[:, None], np.arange(60) % 2  # the one feature of a patient is its number
    monkeypatch.setattr(hello, "read_table", lambda file: table)

    def splits(fold: int, folds: int = 3) -> dict[str, set[int]]:
        data = hello.HelloData(Path("table.csv"), batch_size=8, folds=folds, fold=fold)
        data.setup("fit")
        features = {name: split.tensors[0] for name, split in data.splits.items()}
        order = torch.cat([*features.values()]).sort(0).values  # scaled, and in the order of the numbers still
        return {name: set(torch.searchsorted(order[:, 0], rows[:, 0]).tolist()) for name, rows in features.items()}

    found = [splits(fold) for fold in range(3)]
    assert all(one["train"] | one["val"] | one["test"] == set(range(60)) for one in found)
    assert found[0]["val"] | found[1]["val"] | found[2]["val"] == found[0]["train"] | found[0]["val"]
    assert [len(one["val"]) for one in found] == [16, 16, 16]
    assert all(one["test"] == splits(-1, 0)["test"] == splits(-1)["test"] for one in found)
    assert splits(-1) == splits(-1, 0)
