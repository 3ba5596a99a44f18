"""A target that another distribution brings works with every command, and with no change of this one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.projects import Project, tiny_project

SOURCE = Path(__file__).with_name("example_target")
MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
compute: {target: example, example: {priority: 3}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has the other distribution installed."""
    root = tmp_path_factory.mktemp("example")
    shutil.copytree(SOURCE, root / "source", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root)], cwd=root / "source", check=True
    )
    with zipfile.ZipFile(next(root.glob("*.whl"))) as wheel:
        wheel.extractall(root / "site")
    return root / "site"


@pytest.fixture
def project(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    queue = tmp_path / "queue"
    queue.mkdir()
    monkeypatch.setenv("EXAMPLE_QUEUE", str(queue))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    project = tiny_project(tmp_path / "project")
    project.write("example.yaml", MANIFEST)
    yield project


def ask(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        project.command(*words), cwd=project.root, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def test_the_commands_that_only_look(project: Project) -> None:
    validated = ask(project, "validate", "example.yaml")
    assert validated.returncode == 0, validated.stderr
    planned = json.loads(ask(project, "plan", "--json", "example.yaml").stdout)
    assert (planned["target"], planned["priority"]) == ("example", 3)
    explained = ask(project, "explain", "example.yaml").stdout
    assert "compute.example.priority" in explained
    assert "EXAMPLE_QUEUE" in explained
    doctor = ask(project, "doctor", "example.yaml")
    assert doctor.returncode == 0, doctor.stderr
    assert "queue" in doctor.stdout


def test_its_part_of_the_manifest_is_checked(project: Project) -> None:
    project.write("wrong.yaml", MANIFEST.replace("priority: 3", "priorty: 3"))
    checked = ask(project, "validate", "wrong.yaml")
    assert checked.returncode == 2
    assert "unknown key 'priorty'" in checked.stderr
    assert "did you mean 'priority'?" in checked.stderr


def test_a_target_that_is_not_installed_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    checked = ask(project, "validate", "example.yaml")
    assert checked.returncode == 2
    assert "'compute.target' can't be 'example'" in checked.stderr


def test_a_run_from_its_start_to_its_end(project: Project, needs: Callable[..., None]) -> None:
    needs("torch")
    done = ask(project, "--target", "example", "example.yaml", "--num_epochs=1")
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.splitlines()[-1])
    status = json.loads(ask(project, "status", "--json", str(run)).stdout)
    assert (status["state"], status["target"], status["queue"]) == ("completed", "example", os.environ["EXAMPLE_QUEUE"])
    assert "epoch 1" in ask(project, "logs", run.name).stdout
    assert ask(project, "verify", str(run)).returncode == 0


def test_a_run_that_is_listed_and_stopped(project: Project, needs: Callable[..., None]) -> None:
    needs("torch")
    with subprocess.Popen(
        project.command("example.yaml", "--pause=0.2", "--num_epochs=50"), cwd=project.root, stdout=subprocess.PIPE
    ) as launcher:
        deadline = time.monotonic() + 90
        while not list(project.root.glob("outputs/*/checkpoints/last.ckpt")) and time.monotonic() < deadline:
            time.sleep(0.2)
        (listed,) = [one for one in json.loads(ask(project, "ps", "--json").stdout) if one["target"] == "example"]
        stopped = json.loads(ask(project, "stop", "--json", listed["run"]).stdout)
        assert [one["exit_code"] for one in stopped] == [143]
        launcher.communicate(timeout=60)
        assert launcher.returncode == 143
