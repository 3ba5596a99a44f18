"""Jobs that nobody follows: submitted, waited for, retried and downloaded by commands of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, azure, newest

from innereye_runtime.cli.main import main
from innereye_runtime.manifest.model import Retries
from innereye_runtime.targets.azureml.retries import RETRIES_TAG, next_name, retries_in, retries_tag


def test_what_is_left_of_the_retries_is_read_from_the_tag() -> None:
    left = Retries(preempted=2, infrastructure=1, user=0)
    assert retries_in({RETRIES_TAG: retries_tag(left)}) == left
    assert retries_in({}) == Retries(preempted=0, infrastructure=0, user=0)


def test_the_name_of_a_retry_follows_from_that_of_its_job() -> None:
    assert next_name("2026_tiny-0badcafe") == "2026_tiny-0badcafe-r1"
    assert next_name("2026_tiny-0badcafe-r9") == "2026_tiny-0badcafe-r10"


def test_a_job_of_this_machine_is_not_detached(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    assert main(["--detach", "--target", "process", "tiny.yaml"]) == 2
    shown = capsys.readouterr()
    assert "error: a job on target process can't be detached: it ends with this command\n" in shown.err
    assert shown.out == "" and not (project.root / "outputs").exists()
    project.write("folds.yaml", MANIFEST + "cross_validation: {splits: 2}\n")
    assert main(["--detach", "--target", "docker", "folds.yaml"]) == 2
    assert "error: a sweep on target docker can't be detached" in capsys.readouterr().err
    assert not (project.root / "outputs").exists()


def test_download_takes_one_job_or_all(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["download"]) == 2
    assert main(["download", "--all", "azureml://x"]) == 2
    assert main(["download", "--all", "--to", str(tmp_path)]) == 0
    assert f"{tmp_path}/.detached lists no run" in capsys.readouterr().err


def test_detached_jobs_are_waited_for_and_downloaded_together(project: Project, cloud: Any, image: str) -> None:
    """Six jobs of one manifest, of which one fails."""
    environment = cloud.environment()
    good = [azure(project, cloud, "--detach", f"--width={width}", "--num_epochs=1") for width in range(4, 8)]
    whole = azure(project, cloud, "--detach")
    serverless = MANIFEST.replace("cluster: cpu", "instance_type: Standard_D4s_v3, job_tier: spot")
    project.write("tiny.yaml", serverless.replace("compute:\n", "compute:\n  detach: true\n"))
    bad = azure(project, cloud, "--misbehaviour=raise", "--json")
    assert {one.exit_code for one in (*good, whole, bad)} == {0}, whole.stderr + bad.stderr
    queued = json.loads(bad.stdout)
    addresses = [*(one.stdout.strip() for one in (*good, whole)), queued["run"]]
    assert all(address.startswith("azureml://") for address in addresses)
    submitted = newest(cloud).properties
    assert (submitted.get("computeId"), submitted["queueSettings"]) == (None, {"jobTier": "Spot"})
    assert (queued["state"], queued["exit_code"]) == ("queued", None)
    assert [path.name for path in (project.root / "outputs").iterdir()] == [".detached"]

    waited = project.run("wait", *addresses, environment=environment)
    assert waited.exit_code == 1, waited.stderr
    ends = [*(f"{address}: exit code 0" for address in addresses[:-1]), f"{addresses[-1]}: exit code 1"]
    assert sorted(waited.stdout.splitlines()) == sorted(ends)
    assert "epoch 4 of 4" in project.run("logs", "-f", addresses[4], environment=environment).stdout

    home = project.run("download", "--all", environment={**environment, "PYTHONPROFILEIMPORTTIME": "1"})
    assert home.exit_code == 0, home.stderr
    assert "http.client" in home.stderr
    assert "azure.storage.blob" not in home.stderr and "azure.ai.ml" not in home.stderr, "they take 100 MB"
    *complete, failed = (Path(line) for line in home.stdout.splitlines())
    assert len(complete) == 5
    ended = [line for line in home.stderr.splitlines() if "ended with exit code" in line]
    assert ended == [f"{failed.name}: the run ended with exit code 1"]
    assert all(project.run("verify", str(folder)).exit_code == 0 for folder in complete[-2:])
    assert [json.loads((run / "run.json").read_text())["exit_code"] for run in (*complete, failed)] == [0] * 5 + [1]
    assert "lists no run" in project.run("download", "--all", environment=environment).stderr


def test_a_detached_job_is_retried_once_by_two_who_wait_for_it(
    project: Project, cloud_for: Callable[..., Any], image: str
) -> None:
    project.write("tiny.yaml", MANIFEST.replace("preempted: 0", "preempted: 1"))
    with cloud_for(restarts_preempted=False) as cloud:
        environment = {**cloud.environment(), "WANDB_MODE": "offline"}
        submitted = azure(project, cloud, "--detach", "--pause=0.2", "--num_epochs=8")
        address = submitted.stdout.strip()
        (job,) = cloud.workspace.jobs.values()
        waiting = [project.start("wait", "--json", address, environment=environment) for _ in range(2)]
        deadline = time.monotonic() + 120
        while "epoch 2 of 8" not in project.run("logs", address, environment=environment).stdout:
            assert time.monotonic() < deadline
        job.preempt()
        for waiter in waiting:
            stdout, stderr = waiter.communicate(timeout=180)
            assert json.loads(stdout) == [{"run": address, "exit_code": 0, "error": None}], stderr
        assert list(cloud.workspace.jobs) == [job.name, next_name(job.name)]
        home = project.run("download", address, environment=environment)
        assert home.exit_code == 0, home.stderr
        assert [attempt["state"] for attempt in home.record["attempts"]] == ["stopped", "completed"]
        assert home.weights == project.run("tiny.yaml", "--num_epochs=8").weights
