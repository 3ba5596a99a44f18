"""Runs of the process target, as other processes see them: `ps`, `logs`, `status`, `stop` and `clean`."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, tiny_project


def ask(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        project.command(*words), cwd=project.root, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def listed(project: Project) -> list[dict[str, Any]]:
    """The runs of this project that are at work."""
    found = json.loads(ask(project, "ps", "--target", "process", "--json").stdout)
    return [one for one in found if Path(one["run_folder"]).is_relative_to(project.root)]


@contextmanager
def running(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    """The launcher of a run that has a checkpoint, and two loader workers."""
    command = project.command("tiny.yaml", "--pause=0.2", "--num_epochs=50")
    with subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as launcher:
        deadline = time.monotonic() + 120
        while not list(project.root.glob("outputs/*/checkpoints/last.ckpt")):
            assert launcher.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        yield launcher


@pytest.fixture
def project(tmp_path: Path, needs: Callable[..., None]) -> Project:
    needs("torch")
    project = tiny_project(tmp_path)
    project.write("tiny.yaml", "schema: 1\ncontainer: {class: Tiny, namespaces: [tiny]}\n")
    return project


def test_a_run_is_listed_shown_and_stopped_once_though_retries_are_left(project: Project) -> None:
    with running(project) as launcher:
        (one,) = listed(project)
        assert (one["launcher"], one["orphan"], one["state"]) == (str(launcher.pid), False, "running")
        status = json.loads(ask(project, "status", "--json", one["run_folder"]).stdout)
        assert status["state"] == "running"
        assert "epoch 1" in ask(project, "logs", one["run_folder"]).stdout
        with subprocess.Popen(
            project.command("logs", "-f", one["run_folder"]), cwd=project.root, stdout=subprocess.PIPE, text=True
        ) as follower:
            stopped = ask(project, "stop", one["run_folder"])
            assert stopped.stdout == f"{one['run']}: ended with exit code 143\n"
            shown, _ = follower.communicate(timeout=30)
        assert "stopped" in shown
        assert launcher.wait(timeout=30) == 143
    assert listed(project) == []
    assert json.loads(ask(project, "status", "--json", one["run_folder"]).stdout)["attempts"] == 1
    assert ask(project, "stop", one["run_folder"]).stdout == f"{one['run']}: was not running\n"


def test_a_run_whose_launcher_was_killed_is_cleaned(project: Project) -> None:
    with running(project) as launcher:
        launcher.send_signal(signal.SIGKILL)
        launcher.wait(timeout=30)
        (one,) = listed(project)
        assert one["orphan"] is True
        assert "launcher gone" in ask(project, "ps", "--target", "process").stdout
        assert f"{one['run']}: ended with exit code 143" in ask(project, "clean").stdout
    assert listed(project) == []
