"""Stops at random moments: nothing is left behind, and what was trained is kept.

A quick, seeded dozen by default; INNEREYE_STOPS=200 runs two hundred.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.docker.conftest import Engine, trouble_project

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.targets.supervision import GRACE_SECONDS

COUNT = int(os.environ.get("INNEREYE_STOPS", "12"))
KINDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
LONG_JOB = ("--target", "docker", "tiny.yaml", "--pause=0.15", "--num_epochs=6")
"""About four seconds of imports and six of training, where nothing else is done."""


@pytest.fixture(scope="module")
def length(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> float:
    """The seconds that the job takes on this machine, if nobody stops it."""
    started = time.monotonic()
    result = trouble_project(tmp_path_factory.mktemp("whole")).run(*LONG_JOB)
    assert result.exit_code == 0, result.stderr
    return time.monotonic() - started


@pytest.mark.parametrize("number", range(COUNT))
def test_a_stop_at_any_moment_leaves_nothing(number: int, engine: Engine, project: Project, length: float) -> None:
    dice = random.Random(number)
    kind = KINDS[number % len(KINDS)]
    launcher = project.start(*LONG_JOB)
    time.sleep(dice.uniform(0.0, length))
    launcher.send_signal(kind)
    asked = time.monotonic()
    stdout, stderr = launcher.communicate(timeout=GRACE_SECONDS + 30)
    took = time.monotonic() - asked
    assert "Traceback" not in stderr, stderr
    if kind == signal.SIGKILL:
        cleaned = project.run("clean", "--target", "docker", "--json")
        assert cleaned.exit_code == 0, cleaned.stderr
        assert all(one["removed"] for one in json.loads(cleaned.stdout))
    else:
        assert took < GRACE_SECONDS + 2
        shell_code = launcher.returncode if launcher.returncode >= 0 else 128 - launcher.returncode
        # A job that was done before it heard of it is done.
        assert shell_code == 128 + kind or (launcher.returncode == 0 and "test/loss" in stdout), (stdout, stderr)
    assert engine.names() == []
    for run in (project.root / "outputs").glob("*"):
        check_run(run, launcher.returncode, kind)
    assert not list(Path("/dev/shm").glob(f"innereye-runtime-{launcher.pid}-*"))


def check_run(run: Path, returncode: int, kind: signal.Signals) -> None:
    if not (run / "run.json").exists():
        assert not (run / "logs").exists()  # stopped before its container was
        return
    record = json.loads((run / "run.json").read_text())
    assert record["state"] in ("completed", "interrupted", "stopped")
    assert record["reason"] or record["state"] == "completed"
    if kind != signal.SIGKILL and returncode > 0:
        assert record["exit_code"] == returncode
    # An epoch is announced once its checkpoint is on disk, before the next one logs anything; its rows come earlier.
    places = (RunPaths(run).console_log, RunPaths(run).metrics_csv)
    log, metrics = (place.read_text() if place.exists() else "" for place in places)
    epochs = {row.partition(",")[0] for row in metrics.splitlines()[1:]}
    if re.search(r"^epoch \d+ of", log, flags=re.MULTILINE) or len(epochs) > 1:
        assert (run / "checkpoints" / "last.ckpt").exists()


def started(project: Project, *words: str) -> subprocess.Popen[str]:
    launcher = project.start("--target", "docker", "trouble.yaml", *words)
    assert launcher.stdout is not None
    while "waiting" not in (line := launcher.stdout.readline()):
        assert line, "the job ended before it waited"
    return launcher


def test_a_second_ctrl_c_kills(engine: Engine, project: Project) -> None:
    launcher = started(project, "--trouble=deaf")
    launcher.send_signal(signal.SIGINT)
    time.sleep(1)
    assert launcher.poll() is None
    asked = time.monotonic()
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=20)
    assert time.monotonic() - asked < 5
    assert launcher.returncode == 130
    assert engine.names() == []


@pytest.fixture
def orphan(engine: Engine, project: Project) -> dict[str, Any]:
    """A container whose launcher was killed, as `ps` shows it."""
    launcher = started(project, "--trouble=waits")
    (alive,) = json.loads(project.run("ps", "--target", "docker", "--json").stdout)
    assert (alive["orphan"], alive["state"]) == (False, "running")
    launcher.kill()
    launcher.communicate()
    (found,) = json.loads(project.run("ps", "--target", "docker", "--json").stdout)
    return dict(found)


def test_what_a_killed_launcher_left_is_found_read_stopped_and_removed(
    engine: Engine, project: Project, orphan: dict[str, Any]
) -> None:
    (run,) = (project.root / "outputs").iterdir()
    assert (orphan["orphan"], orphan["run"], orphan["run_folder"]) == (True, run.name, str(run))
    assert "gone: innereye-run clean" in project.run("ps", "--target", "docker").stdout
    assert "waiting\n" in project.run("logs", str(run)).stdout
    follower = project.start("logs", "-f", "--json", orphan["id"])
    stopped = project.run("stop", "--json", run.name)
    assert json.loads(stopped.stdout) == [
        {"run": run.name, "run_folder": str(run), "exit_code": 143, "removed": True}
    ], stopped.stderr
    said, _ = follower.communicate(timeout=20)
    pieces = [json.loads(line) for line in said.splitlines()]
    assert {piece["stream"] for piece in pieces} <= {"stdout", "stderr"}
    assert "waiting\n" in "".join(piece["text"] for piece in pieces)
    assert follower.returncode == 0
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], record["exit_code"]) == ("stopped", 143)
    assert engine.names() == []
    assert "waiting\n" in project.run("logs", str(run)).stdout  # from the run folder now
    assert project.run("ps", "--target", "docker", "--json").stdout.strip() == "[]"
    assert project.run("clean", "--target", "docker").stderr == "nothing was left behind\n"


def test_clean_leaves_a_job_with_a_launcher_alone(engine: Engine, project: Project) -> None:
    launcher = started(project, "--trouble=waits")
    assert project.run("clean", "--target", "docker", "--json").stdout.strip() == "[]"
    assert len(engine.names()) == 1
    asked = project.run("stop", "--json", engine.names()[0])
    assert json.loads(asked.stdout)[0]["removed"] is False
    launcher.communicate(timeout=20)
    assert launcher.returncode == 143  # and not a start for the next try
    assert engine.names() == []


def test_a_job_ends_at_its_longest_time(engine: Engine, project: Project) -> None:
    text = "schema: 1\ncontainer: {class: Trouble, namespaces: [trouble], args: {trouble: waits}}\n"
    project.write("long.yaml", f"{text}compute: {{max_duration: 6s}}\n")
    result = project.run("--target", "docker", "long.yaml")
    assert result.exit_code == 143, result.stderr
    assert result.record["state"] == "stopped"
    assert result.record["reason"] == "stopped at the end of its max_duration of 6s"
    assert engine.names() == []


def test_a_container_that_was_killed_after_its_launcher_is_told_as_killed(
    engine: Engine, project: Project, orphan: dict[str, Any]
) -> None:
    engine("kill", orphan["id"])
    cleaned = json.loads(project.run("clean", "--target", "docker", "--json").stdout)
    assert [(one["exit_code"], one["removed"]) for one in cleaned] == [(None, True)]
    record = json.loads((Path(orphan["run_folder"]) / "run.json").read_text())
    assert (record["state"], record["exit_code"], record["reason"]) == ("failed", 137, "killed from outside (SIGKILL)")


def test_a_run_whose_container_is_still_at_work_is_not_resumed_beside_it(
    engine: Engine, project: Project, orphan: dict[str, Any], tmp_path: Path
) -> None:
    link = tmp_path / "a link"
    link.symlink_to(orphan["run_folder"])
    for folder in (orphan["run_folder"], str(link)):
        refused = project.run("resume", folder)
        assert refused.exit_code == 2
        assert f"container {orphan['name']} is using {folder}" in refused.stderr
        assert f"innereye-run stop {folder}" in refused.stderr
    stopped = project.run("stop", str(link))
    assert stopped.stdout.endswith("ended with exit code 143, and was removed\n"), stopped.stderr
    assert engine.names() == []
    record = json.loads((Path(orphan["run_folder"]) / "run.json").read_text())
    assert [attempt["state"] for attempt in record["attempts"]] == ["stopped"]
