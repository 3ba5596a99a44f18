"""Outputs on stores that are no file systems: a job ends as it does here, whatever the mount refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, newest
from tests.targets.azureml.test_run import EPOCHS, SLOW, ended, outcome, preempt_after

pytestmark = pytest.mark.usefixtures("image")


def names(cloud: Any, container: str, prefix: str) -> set[str]:
    """Of the blobs below `prefix`."""
    blobs = cloud.workspace.blobs.get_container_client(container).list_blob_names(name_starts_with=f"{prefix}/")
    return {name.removeprefix(f"{prefix}/") for name in blobs}


def test_a_mount_without_rename_append_and_delete_is_enough(project: Project, cloud_for: Callable[..., Any]) -> None:
    with cloud_for(output_store=["no-rename", "no-append", "no-delete"]) as cloud:
        child = project.start("--target", "azureml", "tiny.yaml", *SLOW, environment=cloud.environment())
        preempt_after(child, cloud, 2)
        preempt_after(child, cloud, 5)
        result = ended(child)
        assert result.exit_code == 0, result.stdout + result.stderr
        assert newest(cloud).attempt == 3
        shown = names(cloud, "azureml", f"{newest(cloud).artifact_prefix}/outputs")
        assert shown >= {"run.json", "report.html", "metrics.csv", "logs/console.log", "outputs.json"}
        assert not any(name.startswith("checkpoints/") for name in shown)
    attempts = result.record["attempts"]
    assert [attempt["state"] for attempt in attempts] == ["stopped", "stopped", "completed"]
    assert all(attempt["resumed_from"] for attempt in attempts[1:])
    assert project.run("verify", str(result.run)).exit_code == 0
    assert outcome(result) == outcome(project.run("tiny.yaml", EPOCHS))


def test_two_nodes_on_a_store_that_is_slow_fails_and_shows_each_node_its_own(
    project: Project, cloud_for: Callable[..., Any]
) -> None:
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n"))
    with cloud_for(output_store=["close-to-open", "slow", "failing"]) as cloud:
        words = ("--pause=0.8", "--num_epochs=4")
        child = project.start("--target", "azureml", "tiny.yaml", *words, environment=cloud.environment())
        preempt_after(child, cloud, 2)
        result = ended(child)
        assert result.exit_code == 0, result.stdout + result.stderr
        assert newest(cloud).attempt == 2
    assert (result.run / "logs" / "rank-1.log").is_file()
    assert result.weights == project.run("tiny.yaml", "--num_epochs=4").weights
