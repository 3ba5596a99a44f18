"""Containers in the seed system's spelling train through `innereye-run` and through the old command line, unedited."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.projects import Project, Result

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "tests.api.listings"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A folder outside the project, from which the repository's own packages are found."""
    project = Project(tmp_path)
    project.write("pyproject.toml", "")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    for name in ("hello", "first", "second", "third"):
        project.write(f"data/{name}/values.txt", "1 2 3\n")
    return project


@pytest.mark.parametrize(
    ("listing", "name", "extra", "written"),
    [
        ("hello", "Hello", "", "errors.csv"),
        ("cross_validation", "KFold", "", ""),
        ("lightning1", "Lightning1", "", "epochs.txt"),
        ("pass_through", "PassThrough", "", "Val.txt"),
        ("inference_data", "WithInferenceData", "", ""),
        ("optimizer", "WithScheduler", "", ""),
        ("parameters", "AllParameters", "", ""),
        (
            "several_datasets",
            "SeveralDatasets",
            "datasets: [{local: data/first}, {local: data/second}, {local: data/third}]\n",
            "",
        ),
        ("trainer_arguments", "WithTrainerArguments", "", ""),
    ],
)
def test_a_container_with_the_old_imports_trains(
    project: Project, listing: str, name: str, extra: str, written: str
) -> None:
    manifest = f"schema: 1\ncontainer: {{class: {name}, namespaces: [{PACKAGE}.{listing}]}}\n{extra}"
    project.write("m.yaml", manifest)
    result = project.run("m.yaml", "--num_epochs=2")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert result.record["arguments"]["num_epochs"] == {"value": 2, "origin": "command line"}
    assert (result.run / written).exists()
    assert (result.run / "outputs.json").exists()


def test_the_old_command_line_gives_the_weights_of_the_new_one(project: Project) -> None:
    new = project.write("m.yaml", f"schema: 1\ncontainer: {{class: Hello, namespaces: [{PACKAGE}.hello]}}\n")
    by_manifest = project.run(str(new), "--num_epochs=2", "--l_rate=1e-2")
    words = ["--model=Hello", f"--model_configs_namespace={PACKAGE}.hello", "--num_epochs=2", "--l_rate=1e-2"]
    done = subprocess.run(
        [sys.executable, "-m", "InnerEye.ML.runner", *words],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=180,
        env=dict(os.environ),
    )
    by_runner = Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    assert (by_manifest.exit_code, by_runner.exit_code) == (0, 0), done.stderr
    assert by_runner.run != by_manifest.run
    assert by_runner.weights == by_manifest.weights
    assert (by_runner.run / "metrics.json").read_bytes() == (by_manifest.run / "metrics.json").read_bytes()
    splits = {line.split(",")[0] for line in (by_runner.run / "errors.csv").read_text().splitlines()[1:]}
    assert splits == {"Train", "Val", "Test"}
