"""Outputs on stores that are no file systems: a job ends as it does here, whatever the mount refuses.

With INNEREYE_STORE_MODES=each, every test runs on each kind of store alone, a file system among them: a quarter of an
hour.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, newest
from tests.targets.azureml.test_run import EPOCHS, SLOW, ended, outcome, preempt_after, started

pytestmark = pytest.mark.usefixtures("image")

ALONE = ("", "no-rename", "no-append", "no-delete", "close-to-open", "slow", "failing")


def stores(together: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("store", ALONE if os.environ.get("INNEREYE_STORE_MODES") == "each" else [together])


def names(cloud: Any, container: str, prefix: str) -> set[str]:
    """Of the blobs below `prefix`."""
    blobs = cloud.workspace.blobs.get_container_client(container).list_blob_names(name_starts_with=f"{prefix}/")
    return {name.removeprefix(f"{prefix}/") for name in blobs}


@stores("no-rename no-append no-delete")
def test_a_mount_without_rename_append_and_delete_is_enough(
    store: str, project: Project, cloud_for: Callable[..., Any]
) -> None:
    with cloud_for(output_store=store.split()) as cloud:
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
    if "slow" not in store:  # to which the last seconds do not get: a node that is lost takes them with it
        assert all(attempt["resumed_from"] for attempt in attempts[1:]), result.stdout
    assert project.run("verify", str(result.run)).exit_code == 0
    assert outcome(result) == outcome(project.run("tiny.yaml", EPOCHS))


@stores("close-to-open slow failing")
def test_two_nodes_on_a_store_that_is_slow_fails_and_shows_each_node_its_own(
    store: str, project: Project, cloud_for: Callable[..., Any]
) -> None:
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n"))
    with cloud_for(output_store=store.split()) as cloud:
        words = ("--pause=0.8", "--num_epochs=4")
        child = project.start("--target", "azureml", "tiny.yaml", *words, environment=cloud.environment())
        preempt_after(child, cloud, 2)
        result = ended(child)
        assert result.exit_code == 0, result.stdout + result.stderr
        assert newest(cloud).attempt == 2
    assert (result.run / "logs" / "rank-1.log").is_file()
    assert result.weights == project.run("tiny.yaml", "--num_epochs=4").weights


@stores("no-rename no-append close-to-open failing")
def test_a_cancelled_job_and_one_that_failed_end_with_their_exit_codes(
    store: str, project: Project, cloud_for: Callable[..., Any]
) -> None:
    with cloud_for(output_store=store.split()) as cloud:
        child, address = started(project, cloud, *SLOW)
        stopped = project.run("stop", address, environment=cloud.environment())
        assert stopped.stdout.endswith(": Canceled\n"), stopped.stderr
        result = ended(child)
        assert (result.exit_code, result.record["state"]) == (143, "stopped"), result.stderr
        resumed = project.run("resume", str(result.run), environment=cloud.environment())
        assert resumed.exit_code == 0, resumed.stderr
        failed = project.run("--target", "azureml", "tiny.yaml", "--misbehaviour=exit", environment=cloud.environment())
        assert failed.exit_code == 42, failed.stderr
    assert project.run("verify", str(resumed.run)).exit_code == 0
    assert outcome(resumed) == outcome(project.run("tiny.yaml", EPOCHS))
    assert failed.record["reason"] == "the user's code exited with 42"
