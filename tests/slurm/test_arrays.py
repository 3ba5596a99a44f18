"""Sweeps and folds on a real cluster of two nodes: one array, and each trial an ordinary run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
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
cross_validation: {splits: 5, ensemble: outputs}
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


def ensemble_in(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "sweep.json").read_text())["ensemble"] or {}


def arrays_of(folder: Path) -> set[str]:
    """The ids of the arrays that were submitted for the sweep."""
    lines = [line for line in ask("scontrol", "show", "job", "--oneliner").splitlines() if f":{folder} " in line]
    return {line.partition("ArrayJobId=")[2].split()[0] for line in lines}


def attempts(folder: Path) -> list[int]:
    return [len(record_of(trial)["attempts"]) for trial in sorted((folder / "trials").iterdir())]


def kill(run: Path) -> None:
    """Kills the process of a run, on whichever node of this machine it is."""
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"innereye_runtime.entrypoint" in words and f"--run-folder={run}".encode() in words:
                os.kill(int(entry.name), signal.SIGKILL)


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


def test_a_sweep_that_is_stopped_is_resumed_and_its_worst_trial_ends_early(project: Callable[[str], Cluster]) -> None:
    cluster = project(
        "sweep: {search_space: {width: {values: [8, 9]}, pause: {values: [0.6]}},"
        " objective: {primary_metric: val/loss}, limits: {max_concurrent_trials: 1},"
        " early_termination: {type: bandit, slack_amount: 10, delay_evaluation: 2}}\n"
    )
    follower = cluster.start("--num_epochs=3", "tiny.yaml")
    folder = sweep_of(cluster)
    wait_until(lambda: (folder / "trials" / "000" / "checkpoints" / "last.ckpt").is_file(), 120)
    assert [trial["state"] for trial in trials_in(folder)] == ["running", "planned"]
    stopped = cluster.run("stop", str(folder))
    assert stopped.stdout == f"{folder.name}: ended with exit code 143\n"
    output = follower.communicate(timeout=30)
    assert (follower.returncode, ask("squeue", "--noheader")) == (143, ""), output
    assert [trial["state"] for trial in trials_in(folder)] == ["stopped"] * 2
    assert not (folder / "trials" / "001" / "run.json").exists()

    resumed = cluster.run("resume", str(folder))
    assert resumed.exit_code == 0, resumed.stderr
    assert "an array of 2" in resumed.stderr
    trials = trials_in(folder)
    assert [trial["state"] for trial in trials] == ["completed", "terminated"]
    assert "worse than the best" in trials[1]["reason"]
    assert attempts(folder) == [2, 1]
    assert len(arrays_of(folder)) == 2


def test_a_bayesian_search_submits_a_trial_when_it_knows_of_the_one_before(
    project: Callable[[str], Cluster], needs: Callable[..., None]
) -> None:
    needs("optuna")
    cluster = project(
        "sweep: {search_space: {pause: {type: uniform, min_value: 0, max_value: 0.01}}, sampling_algorithm: bayesian,"
        " objective: {primary_metric: val/loss}, limits: {max_total_trials: 2, max_concurrent_trials: 1}}\n"
    )
    done = cluster.run("tiny.yaml")
    assert done.exit_code == 0, done.stderr
    assert len(arrays_of(done.run)) == 2
    assert [trial["state"] for trial in trials_in(done.run)] == ["completed"] * 2
    first, second = (record_of(done.run / "trials" / name) for name in ("000", "001"))
    assert first["attempts"][0]["ended"] <= second["attempts"][0]["started"]
    assert (done.run / "optuna.journal").is_file()


def test_five_folds_and_their_ensemble_are_equal_to_those_of_a_process_though_a_fold_and_the_launcher_are_killed(
    needs: Callable[..., None], tmp_path: Path
) -> None:
    needs("slurm", "torch")
    data = Path(__file__).resolve().parents[2] / "data" / "hello"
    cluster = Cluster(tmp_path)
    cluster.write("pyproject.toml", "")
    cluster.write("hello.yaml", HELLO.replace("local: data", f"local: {data}"))
    follower = cluster.start("hello.yaml")
    folder = sweep_of(cluster)
    last = folder / "trials" / "001" / "checkpoints" / "last.ckpt"
    wait_until(last.is_file, 120)
    kill(folder / "trials" / "001")
    wait_until(lambda: bool(ensemble_in(folder).get("launcher")), 300)
    follower.send_signal(signal.SIGKILL)
    follower.communicate()
    job = ensemble_in(folder)["launcher"]
    listed = json.loads(cluster.run("ps", "--target", "slurm", "--json").stdout)
    assert [(one["run"], one["job"]) for one in listed] == [(f"{folder.name}/ensemble", job)]
    status = json.loads(cluster.run("status", str(folder), "--json").stdout)
    assert (status["state"], status["ensemble"]) == ("running", ensemble_in(folder)["state"])
    resumed = cluster.run("resume", str(folder))
    assert resumed.exit_code == 0, resumed.stderr
    assert "Slurm job" not in resumed.stderr, "the ensemble that the first launcher submitted is followed"
    assert (ensemble_in(folder)["state"], len(record_of(folder / "ensemble")["attempts"])) == ("completed", 1)
    assert "==> trial ensemble <==" in cluster.run("logs", str(folder)).stdout
    here = cluster.run("--target", "process", "hello.yaml")
    assert here.exit_code == 0, here.stderr
    folds = [record_of(folder / "trials" / f"{fold:03}") for fold in range(5)]
    others = [record_of(here.run / "trials" / f"{fold:03}") for fold in range(5)]
    assert [one["target"] for one in (folds[0], others[0])] == ["slurm", "process"]
    for key in ("metrics", "seed"):
        assert [one[key] for one in folds] == [one[key] for one in others]
    for kind in ("best", "last"):
        mine, theirs = ([one["checkpoints"][kind]["weights_sha256"] for one in each] for each in (folds, others))
        assert mine == theirs
        assert len(set(mine)) == 5
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics == json.loads((here.run / "metrics.json").read_text())
    assert metrics["ensemble"]["metrics"]["test"]
    assert len(folds[1]["attempts"]) == 2
