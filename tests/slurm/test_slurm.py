"""The Slurm target on a real cluster of two nodes: submit, follow, stop, preempt, resume, and what a dead rank ends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.launch.rank_kills import kill
from tests.launch.test_ranks_of_one_machine import run_of, several_project, wait_until
from tests.projects import Project, Result

ENTER = str(Path(__file__).with_name("enter"))
KILLS = int(os.environ.get("INNEREYE_RANK_KILLS", "1"))


class Cluster(Project):
    """A project whose commands find the cluster."""

    def command(self, *words: str) -> list[str]:
        return on_cluster(*Project.command(self, *words))


def on_cluster(*words: str) -> list[str]:
    return [ENTER, os.environ["INNEREYE_SLURM"], *words]


def ask(*words: str) -> str:
    return subprocess.run(on_cluster(*words), capture_output=True, text=True, check=True).stdout


@pytest.fixture
def cluster(needs: Callable[..., None], tmp_path: Path) -> Callable[[str], Cluster]:
    needs("slurm", "torch")
    return lambda compute: Cluster(several_project(tmp_path, f"target: slurm, {compute}").root)


def running(run: Path) -> bool:
    """Both ranks wait in their second epoch."""
    return all((run / f"waited{rank}").exists() for rank in (0, 1)) and (run / "checkpoints" / "last.ckpt").exists()


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text())
    return record


def test_one_run_is_stopped_resumed_and_preempted_and_ends_as_an_unbroken_one(
    cluster: Callable[[str], Cluster], tmp_path: Path
) -> None:
    project = cluster("nodes: 2")
    follower = project.start("several.yaml", "--rows=8", "--way=0 wait_once")
    run = run_of(project, follower)
    wait_until(lambda: running(run), 120)
    (listed,) = json.loads(project.run("ps", "--target", "slurm", "--json").stdout)
    assert (listed["run"], listed["state"], listed["nodes"]) == (run.name, "RUNNING", "n[1-2]")
    assert "rank 0 is here" in project.run("logs", listed["job"]).stdout
    busy = project.run("resume", str(run))
    assert (busy.exit_code, "the run is still active" in busy.stderr) == (2, True)

    stopped = project.run("stop", str(run))
    assert stopped.stdout == f"{run.name}: ended with exit code 143\n"
    output = follower.communicate(timeout=60)
    assert (follower.returncode, record_of(run)["state"]) == (143, "stopped"), output
    assert len(record_of(run)["attempts"]) == 1, "it was started again"

    for rank in (0, 1):
        (run / f"waited{rank}").unlink()
    follower = project.start("resume", str(run))
    wait_until(lambda: running(run), 120)
    ask("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")
    output = follower.communicate(timeout=240)
    assert follower.returncode == 0, output
    record = record_of(run)
    assert [attempt["state"] for attempt in record["attempts"]] == ["stopped", "stopped", "completed"]
    assert [attempt["epoch"] for attempt in record["attempts"]] == [0, 1, 1]
    assert project.run("verify", str(run)).exit_code == 0
    assert "srun" not in (run / "logs" / "console.log").read_text()
    assert [(run / f"variables{rank}.txt").read_text() for rank in (0, 1)] == ["0 0 0 2 1", "1 0 1 2 1"]

    # Two processes of one node of this machine, never stopped.
    (tmp_path / "other").mkdir()
    other = several_project(tmp_path / "other", "processes: 2").run("several.yaml", "--rows=8")
    assert other.weights == record["checkpoints"]["last"]["weights_sha256"]
    assert json.loads((other.run / "metrics.json").read_text()) == json.loads((run / "metrics.json").read_text())


def test_a_rank_that_dies_ends_the_job_with_its_own_cause(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("slurm", "torch")
    for number in range(KILLS):
        # Fifteen seconds: ten, and what the follower takes to hear of it.
        shapes = ((2, 2), (2, 1), (1, 2)) if number else ((2, 2),)
        found = kill(tmp_path / str(number), number, target="slurm", shapes=shapes, seconds=15, kind=Cluster)
        assert not found
        (run,) = (tmp_path / str(number) / "outputs").glob("2*")
        if shapes == ((2, 2),):
            assert {path.name for path in (run / "logs").glob("rank-*")} == {f"rank-{rank}.log" for rank in range(4)}
        assert ask("squeue", "--noheader") == ""


def test_two_processes_on_each_of_two_nodes_train_what_four_processes_train_here(
    cluster: Callable[[str], Cluster], tmp_path: Path
) -> None:
    square = cluster("nodes: 2, processes: 2").run("several.yaml", "--rows=4")
    assert square.exit_code == 0, square.stderr
    (tmp_path / "here").mkdir()
    four = several_project(tmp_path / "here", "processes: 4").run("several.yaml", "--rows=4")
    assert square.weights == four.weights


def test_what_the_cluster_does_not_have_is_refused_at_once(cluster: Callable[[str], Cluster]) -> None:
    refused: Result = cluster("slurm: {partition: nowhere}").run("several.yaml")
    assert refused.exit_code == 3
    assert "invalid partition specified: nowhere" in refused.stderr
    assert "hint: sinfo shows partitions" in refused.stderr


def test_ranks_that_srun_starts_by_hand_are_told_apart_and_counted(cluster: Callable[[str], Cluster]) -> None:
    project = cluster("processes: 2")
    words = [sys.executable, "-m", "innereye_runtime.entrypoint", "--run-folder=by-hand", "several.yaml"]

    def by_hand(*options: str) -> subprocess.CompletedProcess[str]:
        command = on_cluster("srun", "--kill-on-bad-exit=1", *options, *words)
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=240)

    done = by_hand("--nodes=1", "--ntasks-per-node=2")
    assert done.returncode == 0, done.stdout + done.stderr
    run = project.root / "by-hand"
    assert len(record_of(run)["attempts"]) == 1
    assert [(run / f"variables{rank}.txt").read_text() for rank in (0, 1)] == ["0 0 0 2 2", "1 1 0 2 2"]
    (project.root / "by-hand").rename(project.root / "done")
    refused = by_hand("--nodes=2", "--ntasks-per-node=2")
    assert refused.returncode in (2, 143), refused.stdout + refused.stderr  # srun ends the others with the first
    assert re.search(r"Slurm started this process as rank \d, one of 4, and the trainer has 2", refused.stdout)
    assert "set compute.nodes and compute.processes to what was started" in refused.stdout
