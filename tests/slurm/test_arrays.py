"""Sweeps and folds on a real cluster of two nodes: one array, and each trial an ordinary run."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.launch.test_ranks_of_one_machine import wait_until
from tests.projects import CONTAINER, tiny_project
from tests.slurm.test_slurm import Cluster, ask, record_of

MANIFEST = """\
schema: 1
name: study
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 1}
compute: {target: slurm}
environment: {OMP_NUM_THREADS: "1"}
"""
HELLO = """\
schema: 1
name: folds
container: {class: HelloContainer}
dataset: {id: hello, local: data}
trainer: {num_epochs: 2}
compute: {target: slurm}
environment: {OMP_NUM_THREADS: "1"}
cross_validation: {splits: 5}
"""


@pytest.fixture
def project(needs: Callable[..., None], tmp_path: Path) -> Callable[[str], Cluster]:
    needs("slurm", "torch")

    def project(sweep: str) -> Cluster:
        made = Cluster(tiny_project(tmp_path, MANIFEST + sweep).root)
        # One trial fails, and others are worse than the rest by far.
        odd = 'if self.width == 7 and self.pause:\n            raise RuntimeError("an odd one")\n        match self.m'
        worse = 'self.log("val/loss", self.loss(batch) + (100 if self.layers[0].out_features == 9 else 0))'
        text = CONTAINER.replace("match self.m", odd).replace('self.log("val/loss", self.loss(batch))', worse)
        made.write("tiny.py", text)
        return made

    return project


def sweep_of(project: Cluster) -> Path:
    """The folder of the sweep, when trials of it are submitted."""
    wait_until(lambda: any(project.root.glob("outputs/*/sweep.json")), 60)
    (folder,) = (project.root / "outputs").iterdir()
    wait_until(lambda: "_" in str([trial["launcher"] for trial in trials_in(folder)]), 60)
    return folder


def trials_in(folder: Path) -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads((folder / "sweep.json").read_text())["trials"]
    return trials


def arrays_of(folder: Path) -> set[str]:
    """The ids of the arrays that were submitted for the sweep."""
    lines = [line for line in ask("scontrol", "show", "job", "--oneliner").splitlines() if f":{folder} " in line]
    return {line.partition("ArrayJobId=")[2].split()[0] for line in lines}


def attempts(folder: Path) -> list[int]:
    return [len(record_of(trial)["attempts"]) for trial in sorted((folder / "trials").iterdir())]


def test_twenty_trials_are_one_array_and_each_runs_once_though_the_launcher_is_killed_and_a_task_requeued(
    project: Callable[[str], Cluster],
) -> None:
    cluster = project(
        "sweep: {search_space: {width: {values: [2, 3, 4, 5, 6, 7, 8, 10, 11, 12]}, pause: {values: [0, 0.3]}},"
        " objective: {primary_metric: val/loss}, limits: {max_concurrent_trials: 4}}\n"
    )
    planned = cluster.run("plan", "tiny.yaml").stdout
    assert "#SBATCH --array=0-19%4" in planned
    assert planned.count("\n0") == 20
    follower = cluster.start("tiny.yaml")
    folder = sweep_of(cluster)
    wait_until(lambda: (folder / "trials" / "001" / "run.json").is_file(), 120)
    (array,) = arrays_of(folder)
    listed = json.loads(cluster.run("ps", "--target", "slurm", "--json").stdout)
    (queued,) = [one for one in listed if one["run"] == folder.name]
    running = [one for one in listed if one["run"].startswith(f"{folder.name}/trials/")]
    assert queued["state"].startswith("PENDING")
    assert queued["job"].startswith(f"{array}_[")
    assert 1 <= len(running) <= 4
    assert {one["run_folder"] for one in running} <= {str(folder / "trials" / f"{n:03}") for n in range(20)}

    follower.send_signal(signal.SIGKILL)
    follower.communicate()
    ask("scontrol", "requeue", f"{array}_1")
    status = json.loads(cluster.run("status", array, "--json").stdout)
    assert (status["state"], "innereye-run resume follows them" in status["reason"]) == ("running", True)
    assert "is running" in cluster.run("rm", str(folder)).stderr
    resumed = cluster.run("resume", str(folder))
    assert resumed.exit_code == 0, resumed.stderr
    assert "Slurm job" not in resumed.stderr
    assert arrays_of(folder) == {array}

    record = json.loads((folder / "sweep.json").read_text())
    failed = [trial for trial in record["trials"] if trial["state"] != "completed"]
    assert [(trial["parameters"], trial["reason"]) for trial in failed] == [
        ({"width": 7, "pause": 0.3}, "RuntimeError: an odd one")
    ]
    assert attempts(folder) == [1, 2, *[1] * 18]
    assert record["reason"] == "1 of 20 trials failed"
    values = [trial["value"] for trial in record["trials"] if trial["value"] is not None]
    assert record["best"]["value"] == min(values)
    assert len(json.loads((folder / "metrics.json").read_text())["trials"]) == 20
    assert "==> trial 019 <==" in cluster.run("logs", str(folder)).stdout
    assert cluster.run("verify", str(folder / "trials" / "001")).exit_code == 0
    assert ask("squeue", "--noheader") == ""
