"""A project that `innereye-run init` writes, in a container: what it trains is what it trains here."""

from __future__ import annotations

from pathlib import Path

from tests.projects import Project
from tests.targets.docker.conftest import Engine, outcome

ONE_THREAD = ("--set", 'environment={OMP_NUM_THREADS: "1"}')


def test_a_new_project_trains_in_a_container_as_it_does_here(engine: Engine, tmp_path: Path) -> None:
    assert Project(tmp_path).run("init", "lesions").exit_code == 0
    project = Project(tmp_path / "lesions")
    here = project.run("manifest.yaml", *ONE_THREAD)
    assert here.exit_code == 0, here.stderr
    there = project.run("--target", "docker", "manifest.yaml", *ONE_THREAD)
    assert there.exit_code == 0, there.stdout + there.stderr
    assert there.record["target"] == "docker"
    assert outcome(there) == outcome(here)
