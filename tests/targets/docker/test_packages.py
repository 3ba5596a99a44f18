"""Packages of a manifest on a real engine: built once by uv, found again, conflicts told, old images removed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.projects import CONTAINER, Project
from tests.targets.docker.conftest import Engine
from tests.wheels_of_users import write_wheel

MANIFEST = """\
schema: 1
container: {class: "brain.training:Tiny", args: {num_epochs: 1}}
packages: {requirements: pyproject.toml}
environment: {OMP_NUM_THREADS: "1"}
"""


def src_project(root: Path, *dependencies: str) -> Project:
    """A project with its code in src/, which imports nibabel and a package from a wheel of its own."""
    project = Project(root)
    listed = "".join(f'"{each}", ' for each in dependencies)
    project.write("pyproject.toml", f'[project]\nname = "brain"\nversion = "0.1"\ndependencies = [{listed}]\n')
    project.write("src/brain/__init__.py", "")
    project.write("src/brain/training.py", f"import nibabel\n{CONTAINER}")
    project.write("job.yaml", MANIFEST)
    return project


def test_packages_are_built_into_an_image_once_and_the_run_is_that_of_the_process_target(
    engine: Engine, tmp_path: Path
) -> None:
    project = src_project(tmp_path, "nibabel>=5")
    here = project.run("job.yaml")
    assert here.exit_code == 0, here.stderr
    built = project.run("image", "build", "job.yaml", "--json")
    assert built.exit_code == 0, built.stderr
    tag = json.loads(built.stdout)["reference"]
    assert tag == f"innereye-runtime:cpu-{json.loads(built.stdout)['packages']}"
    there = project.run("--target", "docker", "job.yaml")
    assert there.exit_code == 0, there.stderr
    assert "[internal]" not in there.stderr, "it was built anew"
    assert there.weights == here.weights
    assert there.record["image"]["reference"] == tag
    assert there.record["packages"]["nibabel"]
    doctor = project.run("doctor", "--target", "docker", "job.yaml")
    assert f"packages: 1 required, in the image {tag}" in doctor.stdout
    outdated = f"FROM {tag}\nLABEL innereye-runtime.packages-base=sha256:0\n"
    project.write("old/Dockerfile", outdated)
    engine("build", "--tag=innereye-runtime:cpu-outdated", str(tmp_path / "old"))
    listed = {image["tags"][0]: image["outdated"] for image in images(project) if image["tags"]}
    assert (listed[tag], listed["innereye-runtime:cpu-outdated"]) == (False, True)
    pruned = project.run("image", "prune")
    assert "innereye-runtime:cpu-outdated  removed" in pruned.stdout, pruned.stderr
    left = {name for image in images(project) for name in image["tags"]}
    assert tag in left
    assert "innereye-runtime:cpu-outdated" not in left
    engine("rmi", tag)


def images(project: Project) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(project.run("image", "ls", "--json").stdout)
    return found


def test_a_conflict_with_what_images_keep_names_both_sides_and_no_token_is_printed(
    engine: Engine, tmp_path: Path
) -> None:
    project = src_project(tmp_path, "nibabel")
    write_wheel(tmp_path / "wheels", "old_net", "torch<2")
    project.write("requirements.txt", "./wheels/old_net-1.0-py3-none-any.whl\n")
    project.write("job.yaml", MANIFEST.replace("pyproject.toml", "requirements.txt"))
    refused = project.run("--target", "docker", "job.yaml")
    assert refused.exit_code == 4
    told = refused.stderr.partition("error: the packages")[2]
    assert "old-net" in told
    assert "torch<2" in told
    assert "torch==2." in told
    project.write("requirements.txt", "--extra-index-url https://me:${INDEX_TOKEN}@127.0.0.1:9/simple\nnothing-there\n")
    unset = project.run("--target", "docker", "job.yaml")
    assert (unset.exit_code, "INDEX_TOKEN" in unset.stderr) == (3, True)
    tried = project.run("--target", "docker", "job.yaml", environment={"INDEX_TOKEN": "hunter2-token"})
    assert tried.exit_code == 4
    assert "hunter2-token" not in tried.stdout + tried.stderr
