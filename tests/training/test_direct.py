"""Manifests that name a module and a data module in place of a container, by real runs: all in one process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

HERE = Path(__file__).parent / "direct"
ROOT = Path(__file__).resolve().parents[2]
MODEL, DATA = "model: {class: shapes:%s}\n", "data: {class: shapes:%s}\n"
EPOCHS = "trainer: {num_epochs: 2}\n"
SHAPES = {
    "optimizer_lists": "model: {class: shapes:OptimizerLists, args: {width: 4}}\n"
    "data: {class: shapes:Data, args: {batch_size: 8}}\n" + EPOCHS + "# overrides: --model.width=5 --model.lr=0.05",
    "manual": MODEL % "Manual" + DATA % "Data" + EPOCHS,
    "several_loaders": MODEL % "OfSeveralLoaders" + DATA % "SeveralLoaders" + EPOCHS,
    "no_val_loader": MODEL % "Base" + "data: {class: shapes:Data, args: {val: false}}\n" + EPOCHS,
    "test_loaders": MODEL % "OfTestLoaders" + DATA % "TestLoaders" + EPOCHS,
    "predict": MODEL % "Predicting" + DATA % "Predicted" + EPOCHS,
    "configure_model": MODEL % "ConfigureModel" + DATA % "Data" + EPOCHS,
    "lr_finder": MODEL % "WithLRFinder" + DATA % "Data" + EPOCHS,
}
OTHERS = {
    "as_container": "container: {class: shapes:AsContainer}\n" + EPOCHS,
    "own_loaders": 'model: {class: shapes:OwnLoaders, args: {root: "${dataset}/images and ${run}"}}\n'
    "dataset: {local: data}\n" + EPOCHS,
    "refused": "model: {class: made_up:Made, args: {widht: 1}}\ndata: {class: shapes:Data}\n",
}
MADE_UP = """\
import lightning.pytorch as pl

Made = type("Made", (pl.LightningModule,), {"__init__": lambda self, width=3: None})
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Path:
    needs("torch")
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(HERE / "shapes.py", folder)
    (folder / "made_up.py").write_text(MADE_UP)
    (folder / "data").mkdir()
    (folder / "data" / "image.txt").write_text("a brain")
    for name, text in {**SHAPES, **OTHERS}.items():
        (folder / f"{name}.yaml").write_text(f"schema: 1\n{text}")
    return folder


@pytest.fixture(scope="module")
def outcome(project: Path) -> tuple[dict[str, int], str]:
    """The exit codes by the manifests' names, and what was printed."""
    done = subprocess.run(
        [sys.executable, str(HERE / "run_all.py")],
        cwd=project,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stderr.splitlines()[-1]), done.stdout + done.stderr


def record(project: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "runs" / name / "run.json").read_text())
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_trains_without_a_container(name: str, project: Path, outcome: tuple[dict[str, int], str]) -> None:
    codes, printed = outcome
    assert codes[name] == 0, printed
    found = record(project, name)
    assert found["state"] == "completed"
    assert found["checkpoints"]["last"]["weights_sha256"]
    assert found["metrics"]["train"]["train/loss"] > 0
    wants_test = name != "configure_model"
    assert any(metric.startswith("test/loss") for metric in found["metrics"]["test"]) == wants_test
    assert (project / "runs" / name / "outputs.json").is_file()
    assert (project / "runs" / name / "predictions").is_dir() == (name == "predict")


def test_the_weights_are_those_of_a_container_with_the_same_classes(
    project: Path, outcome: tuple[dict[str, int], str]
) -> None:
    direct, container = record(project, "optimizer_lists"), record(project, "as_container")
    assert outcome[0]["as_container"] == 0
    assert direct["checkpoints"]["last"]["weights_sha256"] == container["checkpoints"]["last"]["weights_sha256"]
    assert direct["metrics"] == container["metrics"]


def test_the_run_folder_says_what_the_classes_got(project: Path, outcome: tuple[dict[str, int], str]) -> None:
    found = record(project, "optimizer_lists")
    Draft202012Validator(json.loads((ROOT / "schema" / "run.schema.json").read_text())).validate(found)
    assert found["model"] == "OptimizerLists"
    assert found["model_summary"]["parameters"] == found["model_summary"]["trainable"] > 0
    assert found["container"]["data"] == {"class": "Data", "module": "shapes", "file": str(project / "shapes.py")}
    assert found["arguments"]["model.width"] == {"value": 5, "origin": "command line"}
    assert found["arguments"]["data.val"] == {"value": True, "origin": "default"}
    assert found["manifest"]["model"] == {"class": "shapes:OptimizerLists", "args": {"width": 5, "lr": 0.05}}
    args = (project / "runs" / "optimizer_lists" / "args.txt").read_text().splitlines()
    assert {"model.width = 5", "data.batch_size = 8"} <= {*args}
    assert "class: shapes:OptimizerLists" in (project / "runs" / "optimizer_lists" / "manifest.yaml").read_text()
    assert "shapes.Data" in (project / "runs" / "optimizer_lists" / "report.html").read_text()


def test_references_are_the_folders_of_the_run(project: Path, outcome: tuple[dict[str, int], str]) -> None:
    assert outcome[0]["own_loaders"] == 0
    log = (project / "runs" / "own_loaders" / "logs" / "console.log").read_text()
    assert f"root is {project}/data/images and {project}/runs/own_loaders" in log


def test_an_argument_that_only_the_imported_class_refuses_is_a_mistake_of_the_manifest(
    project: Path, outcome: tuple[dict[str, int], str]
) -> None:
    codes, printed = outcome
    assert codes["refused"] == 2
    assert "Made does not take its arguments: got an unexpected keyword argument 'widht'" in printed
    assert "it takes width" in printed
