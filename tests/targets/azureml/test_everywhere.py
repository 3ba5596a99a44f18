"""examples/brain_tissue, a project with MONAI, nibabel and a src layout, from an installed wheel on three targets: with
weights from an earlier run, and its model registered.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, Result
from tests.wheels import ROOT, build_wheel, install_wheel

from innereye_runtime.targets.docker.image import building_client

EXAMPLE = ROOT / "examples" / "brain_tissue"
EPOCHS = "--num_epochs=1"


class FromWheel(Project):
    """A project whose `innereye-run` is that of an environment with the wheel, which lies beside it."""

    def command(self, *words: str) -> list[str]:
        return [str(self.root.parent / "environment" / "bin" / "innereye-run"), *words]


@pytest.fixture
def project(needs: Callable[..., None], tmp_path: Path) -> FromWheel:
    needs("torch", "nilearn", "monai", "mlflow")
    install_wheel(build_wheel(tmp_path / "wheel"), tmp_path / "environment")
    root = tmp_path / "brain_tissue"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns("data", "data-small", "outputs", "__pycache__"))
    command = [sys.executable, "make_subjects.py", "data-small", "--subjects=5", "--voxel=4"]
    subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL)
    return FromWheel(root)


def test_its_weights_and_scores_are_equal_on_every_target(project: FromWheel, cloud: Any, reachable: str) -> None:
    azure = f"compute:\n  azureml: {{cluster: cpu, image: '{reachable}', experiment: brain}}\n  target: process\n"
    text = (project.root / "small.yaml").read_text()
    text = text.replace("dataset: {local: ", "dataset: {id: brain-small, local: ")
    text, count = re.subn(r"^compute: .*\n", azure, text, flags=re.MULTILINE)
    assert count == 1
    project.write("small.yaml", text)
    cloud.add_data("brain-small", project.root / "data-small")

    earlier = project.run("small.yaml", EPOCHS)
    assert earlier.exit_code == 0, earlier.stderr
    assert is_wheel(project)
    outside = f"--local_weights_path={earlier.run / 'checkpoints' / 'best.ckpt'}"
    refused = project.run("--target", "azureml", "small.yaml", outside, environment=cloud.environment())
    assert (refused.exit_code, "best.ckpt is not part of the job's code" in refused.stderr) == (2, True)
    (project.root / "weights").mkdir()
    shutil.copy(earlier.run / "checkpoints" / "best.ckpt", project.root / "weights" / "earlier.ckpt")
    text = re.sub(r"^outputs: {", "outputs: {register: {name: tissues}, ", text, flags=re.MULTILINE)
    project.write("small.yaml", text)

    words = ("small.yaml", EPOCHS, "--local_weights_path=weights/earlier.ckpt")
    registry = {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": (project.root.parent / "mlflow").as_uri()}
    here = project.run(*words, environment=registry)
    assert here.exit_code == 0, here.stderr
    assert here.weights != earlier.weights
    there = project.run("--target", "docker", *words, environment=registry)
    assert there.exit_code == 0, there.stderr
    again = project.run("--target", "docker", *words)
    assert again.exit_code == 0, again.stderr
    assert "[internal]" not in again.stderr, "the image was built anew"
    cloudy = project.run("--target", "azureml", *words, environment=cloud.environment())
    assert cloudy.exit_code == 0, cloudy.stdout + cloudy.stderr

    assert [line for line in here.stderr.splitlines() if line == f"model tissues:1 is that of {here.run.name}"]
    assert [line for line in there.stderr.splitlines() if line == f"model tissues:2 is that of {there.run.name}"]
    (model,) = [one for (kind, *_), one in cloud.workspace.assets.items() if kind == "models"]
    assert model["properties"]["properties"]["innereye-runtime.run"] == cloudy.run.name
    assert model["properties"]["properties"]["weights_sha256"] == here.record["checkpoints"]["best"]["weights_sha256"]

    runs = (here, there, again, cloudy)
    assert len({run.weights for run in runs}) == 1
    assert len({scores(run) for run in runs}) == 1
    assert len({run.record["packages"]["monai"] for run in runs}) == 1
    assert len({run.record["packages"]["torch"].partition("+")[0] for run in runs}) == 1
    assert there.record["image"]["reference"].startswith("innereye-runtime:cpu-")
    assert cloudy.record["image"]["reference"].startswith("azureml:innereye-runtime-")
    remove = [building_client(), "rmi", there.record["image"]["reference"]]
    subprocess.run(remove, check=True, stdout=subprocess.DEVNULL)


def is_wheel(project: FromWheel) -> bool:
    """Whether its command imports the runtime from the wheel, and not from this checkout."""
    python = project.root.parent / "environment" / "bin" / "python"
    code = "import innereye_runtime; print(innereye_runtime.__file__)"
    done = subprocess.run([python, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    return done.stdout.startswith(str(project.root.parent / "environment"))


def scores(run: Result) -> str:
    return (run.run / "metrics_per_subject.csv").read_text()
