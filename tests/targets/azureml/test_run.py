"""Whole jobs on the emulator: `innereye-run` as a process, without a hook, with the environment variables of the
emulator.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, Result
from tests.targets.azureml.conftest import IMAGE, MANIFEST, ROOT, address_in, azure, newest

pytestmark = pytest.mark.usefixtures("image")

EPOCHS = "--num_epochs=8"
SLOW = ("--pause=0.2", EPOCHS)
"""0.2 s x 6 batches x 8 epochs: long enough to be stopped in the middle. A pause changes no weights."""


_CPU = "azureml: {cluster: cpu}"


def outcome(result: Result) -> tuple[object, ...]:
    """What must be equal wherever a job runs: weights, metrics and the list of files."""
    files = sorted(entry["path"] for entry in json.loads((result.run / "outputs.json").read_text())["files"])
    # One of TensorBoard's for each attempt, with a time, a host and a process in its name.
    names = {re.sub(r"\.tfevents\..*", ".tfevents", name) for name in files}
    return result.weights, (result.run / "metrics.json").read_bytes(), sorted(names)


def started(project: Project, cloud: Any, *words: str) -> tuple[subprocess.Popen[str], str]:
    """A job of which one epoch is done, as the process that follows it, and its address."""
    child = project.start("--target", "azureml", "tiny.yaml", *words, environment=cloud.environment())
    assert child.stdout and child.stderr
    address = next(address_in(line) for line in child.stderr if line.startswith("submitted"))
    assert next(line for line in child.stdout if line.startswith("epoch 1 "))
    return child, address


def test_hello_ends_as_it_does_here_and_in_docker(cloud: Any, tmp_path: Path) -> None:
    for folder in ("manifests", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    hello = Project(tmp_path)
    hello.write("pyproject.toml", "")
    manifest = (tmp_path / "manifests" / "hello.yaml").read_text()
    assert _CPU in manifest
    images = f"azureml: {{cluster: cpu, image: '{IMAGE}'}}\n  docker: {{image: '{IMAGE}'}}"
    hello.write("manifests/hello.yaml", manifest.replace(_CPU, images))
    cloud.add_data("hello", tmp_path / "data" / "hello")
    there = hello.run("--target", "azureml", "manifests/hello.yaml", environment=cloud.environment())
    assert there.exit_code == 0, there.stderr
    assert "epoch 20 of 20" in there.stdout
    assert hello.run("verify", str(there.run)).exit_code == 0
    record = there.record
    assert (record["target"], record["state"], record["id"]) == ("azureml", "completed", there.run.name)
    assert (record["code"]["root"], record["image"]["reference"]) == (str(tmp_path), IMAGE)
    for target in ("process", "docker"):
        result = hello.run("--target", target, "manifests/hello.yaml")
        assert result.exit_code == 0, result.stderr
        assert outcome(there) == outcome(result)


def test_the_old_command_line_gets_there_too(project: Project, cloud: Any) -> None:
    words = ["--model=Tiny", "--model_configs_namespace=tiny", "--azureml=True", "--use_gpu=False", "--cluster=cpu"]
    done = subprocess.run(
        [sys.executable, "-m", "InnerEye.ML.runner", *words, "--num_epochs=2"],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **cloud.environment(), "INNEREYE_AZUREML_IMAGE": IMAGE},
    )
    result = Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)
    assert result.exit_code == 0, result.stderr
    assert result.record["target"] == "azureml"
    assert result.weights == project.run("tiny.yaml", "--num_epochs=2").weights


@pytest.mark.parametrize(
    ("misbehaviour", "exit_code", "last"),
    [
        ("raise", 1, "error: RuntimeError: the data is upside down"),
        (
            "exit",
            42,
            "error: the user's code exited with 42\nhint: see its output above, which is also in logs/console.log",
        ),
    ],
)
def test_a_users_error_is_the_last_thing_shown_and_its_exit_code_kept(
    project: Project, cloud: Any, misbehaviour: str, exit_code: int, last: str
) -> None:
    result = azure(project, cloud, f"--misbehaviour={misbehaviour}")
    assert result.exit_code == exit_code
    assert result.stdout.rpartition(f"\n{result.run}\n")[0].endswith(f"\n{last}")
    assert not re.search(r"(?m)^error|Failed|Traceback", result.stderr)  # nothing after the job's own last words
    assert result.record["state"] == "failed"


def test_an_image_that_is_not_there_is_said(project: Project, cloud: Any) -> None:
    project.write("tiny.yaml", MANIFEST.replace(IMAGE, "no-such-image:1"))
    result = azure(project, cloud)
    assert result.exit_code == 1
    assert "no-such-image:1" in result.stderr


def test_a_cancelled_job_saves_a_checkpoint_and_ends_with_143(project: Project, cloud: Any) -> None:
    child, address = started(project, cloud, *SLOW)
    stopped = project.run("stop", address, environment=cloud.environment())
    assert stopped.stdout.endswith(": Canceled\n")
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 143, stderr
    result = Result(exit_code=child.returncode, stdout=stdout, stderr=stderr)
    assert result.record["state"] == "stopped"
    assert "SIGTERM" in result.record["reason"]
    assert (result.run / "checkpoints" / "last.ckpt").is_file()
    resumed = project.run("resume", str(result.run), environment=cloud.environment())
    assert resumed.exit_code == 0, resumed.stderr
    assert [attempt["state"] for attempt in resumed.record["attempts"]] == ["stopped", "completed"]
    here = project.run("tiny.yaml", EPOCHS)
    assert resumed.weights == here.weights
    anew = project.run("resume", "--restart", str(result.run), environment=cloud.environment())
    assert anew.exit_code == 0, anew.stderr
    assert [bool(attempt["resumed_from"]) for attempt in anew.record["attempts"]] == [False, True, False]
    assert (anew.weights, anew.stdout.count("epoch 1 of")) == (here.weights, 1)
    assert (anew.run / "checkpoints" / "aside" / "last.ckpt").is_file()
    assert project.run("verify", str(anew.run)).exit_code == 0


def test_who_stops_following_is_told_how_to_go_on(project: Project, cloud_for: Callable[..., Any]) -> None:
    # On stores without a key, which are read with one's own token.
    with cloud_for(identity_stores=True) as cloud:
        child, address = started(project, cloud, *SLOW)
        child.send_signal(signal.SIGINT)
        stdout, stderr = child.communicate(timeout=30)
        assert child.returncode == 130
        assert stdout.splitlines()[-1] == address
        assert f"innereye-run logs -f '{address}'" in stderr
        environment = cloud.environment()
        followed = project.run("logs", "-f", address, environment=environment)
        assert "epoch 1 of 8" in followed.stdout and "epoch 8 of 8" in followed.stdout
        again = project.run("logs", address, environment=environment)
        assert again.stdout == followed.stdout
        status = json.loads(project.run("status", "--json", address, environment=environment).stdout)
        assert status["state"] == "Completed"
        home = project.run("download", address, environment=environment)
        assert home.exit_code == 0 and home.run.name == status["run"]
        assert home.weights == project.run("tiny.yaml", EPOCHS).weights
        assert [call for call in cloud.calls if "listSecrets" in call.request.path] == []


def test_a_job_is_followed_to_its_end_where_nobody_reads_what_is_told(project: Project, cloud: Any) -> None:
    environment = {**os.environ, **cloud.environment()}
    reader, writer = os.pipe()
    os.close(reader)
    command = project.command("--target", "azureml", "tiny.yaml", *SLOW)
    with subprocess.Popen(
        command, cwd=project.root, env=environment, text=True, stdout=subprocess.PIPE, stderr=writer
    ) as follower:
        assert follower.stdout
        assert next(line for line in follower.stdout if line.startswith("epoch 1 "))
        listed = json.loads(project.run("ps", "--target", "azureml", "--json", environment=environment).stdout)
        (address,) = [one["address"] for one in listed if one["address"].endswith(newest(cloud).name)]
        # Who only looks at the log ends with the one who reads it.
        logs = subprocess.run(project.command("logs", "-f", address), env=environment, stdout=writer, timeout=60)
        assert logs.returncode == 0
        assert not newest(cloud).is_finished
        os.close(writer)
        project.run("stop", address, environment=environment)
        result = ended(follower)
    assert result.exit_code == 143
    assert result.record["state"] == "stopped"


def preempt_after(child: subprocess.Popen[str], cloud: Any, epoch: int) -> None:
    """Takes the newest job's machine away once its log says that an epoch is done."""
    assert child.stdout
    assert next(line for line in child.stdout if line.startswith(f"epoch {epoch} "))
    newest(cloud).preempt()


def ended(child: subprocess.Popen[str]) -> Result:
    stdout, stderr = child.communicate(timeout=120)
    return Result(exit_code=child.returncode, stdout=stdout, stderr=stderr)


def test_a_job_that_is_preempted_twice_ends_with_the_same_weights(project: Project, cloud: Any) -> None:
    child = project.start("--target", "azureml", "tiny.yaml", *SLOW, environment=cloud.environment())
    preempt_after(child, cloud, 2)
    preempt_after(child, cloud, 5)
    result = ended(child)
    assert result.exit_code == 0, result.stdout + result.stderr
    attempts = result.record["attempts"]
    assert [attempt["state"] for attempt in attempts] == ["stopped", "stopped", "completed"]
    assert all(attempt["resumed_from"] for attempt in attempts[1:])
    assert newest(cloud).attempt == 3
    assert outcome(result) == outcome(project.run("tiny.yaml", EPOCHS))


def test_a_job_that_is_given_up_is_resumed_by_a_new_submission(project: Project, cloud_for: Callable[..., Any]) -> None:
    with cloud_for(restarts_preempted=False) as cloud:
        slow = ("--pause=0.3", EPOCHS)
        child = project.start("--target", "azureml", "tiny.yaml", *slow, environment=cloud.environment())
        preempt_after(child, cloud, 2)
        first = ended(child)
        assert first.exit_code == 143, first.stderr
        child = project.start("resume", str(first.run), environment=cloud.environment())
        assert child.stderr
        address = next(address_in(line) for line in child.stderr if line.startswith("submitted"))
        refused = project.run("resume", str(first.run), environment=cloud.environment())
        assert (refused.exit_code, "the run is still active: job " in refused.stderr) == (2, True), refused.stderr
        assert f"innereye-run stop '{address}'" in refused.stderr
        preempt_after(child, cloud, 5)
        second = ended(child)
        assert (second.exit_code, second.run) == (143, first.run), second.stderr
        last = project.run("resume", str(first.run), environment=cloud.environment())
        assert len(cloud.workspace.jobs) == 3
    assert (last.exit_code, last.run) == (0, first.run), last.stderr
    assert len(last.record["attempts"]) == 3
    assert outcome(last) == outcome(project.run("tiny.yaml", EPOCHS))


def test_a_job_that_is_given_up_is_submitted_again_where_the_manifest_allows(
    project: Project, cloud_for: Callable[..., Any]
) -> None:
    project.write("tiny.yaml", MANIFEST.replace("preempted: 0", "preempted: 1"))
    with cloud_for(restarts_preempted=False) as cloud:
        child = project.start("--target", "azureml", "tiny.yaml", *SLOW, environment=cloud.environment())
        preempt_after(child, cloud, 2)
        result = ended(child)
        assert len(cloud.workspace.jobs) == 2
    assert result.exit_code == 0, result.stderr
    assert "the manifest allows another try" in result.stderr
    assert result.weights == project.run("tiny.yaml", EPOCHS).weights
