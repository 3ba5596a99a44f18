"""`doctor` on a manifest for Azure looks at the workspace and what the job names there, and not at this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.projects import Project
from tests.targets.azureml.conftest import IMAGE, MANIFEST

OF_THIS_MACHINE = ("gpu:", "disk:", "shared memory:", "engine:")


def checks(text: str) -> dict[str, str]:
    """The status of each check by its name."""
    lines = [line.split(maxsplit=1) for line in text.splitlines() if not line.startswith(" ")]
    return {rest.partition(":")[0]: status for status, rest in lines}


def test_without_a_workspace_that_is_what_is_missing(project: Project) -> None:
    done = project.run("doctor", "--target", "azureml", "tiny.yaml")
    assert done.exit_code == 3, done.stderr
    found = checks(done.stdout)
    assert found["workspace"] == "failed" and "AZUREML_ARM_SUBSCRIPTION" in done.stdout
    assert {found[name] for name in ("compute", "environment", "dataset", "datastore")} == {"skipped"}
    assert not [each for each in OF_THIS_MACHINE if each in done.stdout]


def test_what_the_job_names_is_looked_for_in_the_workspace(
    project: Project, cloud_for: Callable[..., Any], tmp_path: Path
) -> None:
    data = tmp_path / "mine"
    data.mkdir()
    (data / "rows.csv").write_text("1,2\n")
    with cloud_for() as cloud:
        cloud.add_data("mine", data)
        project.write("tiny.yaml", f"{MANIFEST}dataset: {{id: mine}}\n")
        done = project.run("doctor", "--target", "azureml", "tiny.yaml", environment=cloud.environment())
        assert done.exit_code == 0, done.stdout + done.stderr
        assert set(checks(done.stdout).values()) == {"ok"}
        assert "cluster cpu, of Standard_" in done.stdout and "azureml:mine:1" in done.stdout
        named = MANIFEST.replace(
            f'cluster: cpu, image: "{IMAGE}"', "cluster: cpu, environment: 'azureml:nowhere@latest'"
        )
        project.write("tiny.yaml", f"{named}dataset: {{id: other}}\n")
        missing = project.run("doctor", "--target", "azureml", "tiny.yaml", environment=cloud.environment())
        found = checks(missing.stdout)
        assert (found["environment"], found["dataset"], found["compute"]) == ("failed", "failed", "ok"), (
            missing.stdout + missing.stderr
        )
        assert cloud.workspace.jobs == {}
