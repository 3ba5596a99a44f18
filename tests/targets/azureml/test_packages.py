"""Packages on AzureML: an environment named by a digest, registered once and found again, or one that is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import CONTAINER, Project

from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.targets.azureml.environment import packages_context
from innereye_runtime.targets.azureml.job_file import job_data
from innereye_runtime.targets.azureml.plan import plan_for
from innereye_runtime.targets.docker.packages_build import plan_packages_build

MANIFEST = """\
schema: 1
container: {class: "brain.training:Tiny", args: {num_epochs: 1}}
packages: {requirements: pyproject.toml}
compute:
  retries: {preempted: 0, infrastructure: 0}
  azureml: {cluster: cpu, IN, experiment: packages}
environment: {OMP_NUM_THREADS: "1"}
"""


@pytest.fixture
def brain(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.write("pyproject.toml", '[project]\nname = "brain"\nversion = "0.1"\ndependencies = ["nibabel>=5"]\n')
    project.write("src/brain/__init__.py", "")
    project.write("src/brain/training.py", f"import nibabel\n{CONTAINER}")
    return project


def test_a_job_with_packages_names_the_environment_of_their_digest(brain: Project, tmp_path: Path) -> None:
    manifest = brain.write("job.yaml", MANIFEST.replace("IN", 'image: "registry/mine:1"'))
    job = resolve_job(manifest, cwd=tmp_path, target="azureml")
    plan = plan_for(job, {})
    assert job.requirements is not None
    assert plan.packages is not None
    assert plan.packages.digest == plan_packages_build(job.requirements, base="registry/mine:1").digest
    assert job_data(plan)["environment"] == f"azureml:innereye-runtime-{plan.packages.digest}:{plan.packages.version}"
    context = packages_context(tmp_path / "context", plan.packages)
    assert (context / "Dockerfile").read_text().startswith("FROM registry/mine:1\nCOPY packages ")
    assert "--mount" not in (context / "Dockerfile").read_text()
    assert (context / "packages" / "requirements.txt").read_text() == "nibabel>=5\n"
    alone = resolve_job(brain.write("a.yaml", MANIFEST.replace("IN, ", "")), cwd=tmp_path, target="azureml")
    built = plan_for(alone, {}).packages
    assert built is not None
    context = packages_context(tmp_path / "alone", built)
    assert (context / "runtime" / "innereye_runtime" / "entrypoint.py").is_file()
    assert "COPY . /opt/innereye-runtime/source" in (context / "Dockerfile").read_text()
    named = MANIFEST.replace("IN", 'environment: "azureml:lungs@latest"')
    plan = plan_for(resolve_job(brain.write("b.yaml", named), cwd=tmp_path, target="azureml"), {})
    assert (plan.packages, job_data(plan)["environment"]) == (None, "azureml:lungs@latest")


def test_the_environment_is_registered_once_found_again_and_may_be_named(
    needs: Callable[..., None], brain: Project, cloud: Any, reachable: str
) -> None:
    brain.write("job.yaml", MANIFEST.replace("IN", f'image: "{reachable}"'))
    here = brain.run("job.yaml")
    assert here.exit_code == 0, here.stderr

    def azure(manifest: str) -> Any:
        return brain.run("--target", "azureml", manifest, environment=cloud.environment())

    first = azure("job.yaml")
    assert first.exit_code == 0, first.stdout + first.stderr
    assert first.weights == here.weights
    reference = first.record["image"]["reference"]
    assert reference.startswith("azureml:innereye-runtime-")
    assert first.record["packages"]["nibabel"]
    calls = len(cloud.calls)
    second = azure("job.yaml")
    assert second.exit_code == 0, second.stderr
    assert second.record["image"]["reference"] == reference
    put = [call for call in cloud.calls[calls:] if call.request.verb == "PUT" and "/environments/" in call.request.path]
    assert put == []
    name = reference.removeprefix("azureml:").partition(":")[0]
    brain.write("named.yaml", MANIFEST.replace("IN", f'environment: "azureml:{name}@latest"'))
    named = azure("named.yaml")
    assert named.exit_code == 0, named.stderr
    assert (named.weights, named.record["image"]["reference"]) == (here.weights, reference)
    brain.write("gone.yaml", MANIFEST.replace("IN", 'environment: "azureml:nowhere:1"'))
    gone = azure("gone.yaml")
    assert gone.exit_code == 3
    assert "has no environment nowhere:1" in gone.stderr
