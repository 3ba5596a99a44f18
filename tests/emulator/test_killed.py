"""An emulator that is killed: nothing of it remains, whether its reaper was killed too or not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.targets.azureml.conftest import IMAGE

from azureml_emulator.jobs.cleanup import HOST, OWNER, remove_stale
from azureml_emulator.jobs.docker_cli import docker
from azureml_emulator.processes import process_identity

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30

SUBMIT = f"""
import sys, time
from pathlib import Path
from azureml_emulator.emulator import open_emulator

with open_emulator(Path({str(ROOT)!r}), grace=1) as emulator:
    identifier = emulator.workspace.put("environments", "e", "1", {{"image": {IMAGE!r}}})["id"]
    job = emulator.runner.make("j", {{"jobType": "Command", "command": "sleep 600", "environmentId": identifier}})
    emulator.workspace.jobs[job.name] = job
    emulator.runner.start(job)
    while job.status != "Running" and not job.is_finished:
        time.sleep(0.1)
    print(job.status, job.error, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def busy(image: str, needs: Callable[..., None]) -> Iterator[subprocess.Popen[str]]:
    """A process with an emulator that runs a job."""
    needs("azurite")
    with subprocess.Popen(
        [sys.executable, "-c", SUBMIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "Running None\n"
        eventually(lambda: len(on_engine(process)) == 2)
        yield process
        process.kill()


def on_engine(process: subprocess.Popen[str]) -> list[str]:
    """The containers and networks of its jobs."""
    form = ("--format", f'{{{{.ID}}}} {{{{.Label "{OWNER}"}}}}')
    lines = docker("ps", "--all", *form).splitlines() + docker("network", "ls", *form).splitlines()
    return [line for line in lines if f" {process.pid}-" in line]


def processes_below(process: subprocess.Popen[str]) -> list[int]:
    """Its reaper, and the reaper's child, Azurite."""
    found, parents = [], {process.pid}
    for path in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_text()
        except OSError:
            continue  # it ended
        if parent in parents and ("reaper.py" in words or "azurite" in words):
            parents.add(int(path.name))
            found.append(int(path.name))
    return found


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_all_of_it_goes_when_it_is_killed(busy: subprocess.Popen[str]) -> None:
    reaper, azurite = processes_below(busy)
    folder = Path(Path(f"/proc/{reaper}/cmdline").read_text().split("\0")[3])
    assert folder.is_dir()
    busy.kill()
    busy.wait()
    eventually(lambda: is_gone(azurite) and is_gone(reaper))
    assert on_engine(busy) == []
    assert not folder.exists()


def test_clean_removes_what_a_killed_reaper_left(busy: subprocess.Popen[str]) -> None:
    reaper, azurite = processes_below(busy)
    for pid in (reaper, azurite, busy.pid):
        os.kill(pid, signal.SIGKILL)
    busy.wait()
    assert len(on_engine(busy)) == 2
    command = [str(Path(sys.executable).with_name("azureml-emulator")), "clean"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    removed = [line.partition(" ")[0] for line in done.stdout.splitlines() if line.endswith(": removed")]
    assert removed == ["container", "network"]
    assert on_engine(busy) == []


def test_clean_removes_images_of_emulators_that_are_gone_and_no_others(image: str) -> None:
    host = socket.gethostname()
    owners = ["999999999-1-boot", process_identity()]
    gone, alive = (_image({OWNER: owner, HOST: host}) for owner in owners)
    elsewhere = _image({OWNER: owners[0], HOST: f"not-{host}"})
    try:
        removed = [resource.name for resource in remove_stale() if resource.kind == "image"]
        assert gone in removed
        assert alive not in removed and elsewhere not in removed
        left = docker("images", "--quiet", "--no-trunc").split()
        assert gone not in left and alive in left and elsewhere in left
    finally:
        docker("rmi", "--force", gone, alive, elsewhere, check=False)


def _image(labels: dict[str, str]) -> str:
    """The id of a new image that has nothing but these labels."""
    words = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
    command = ["docker", "build", "--quiet", *words, "-"]
    built = subprocess.run(command, input="FROM scratch\n", capture_output=True, text=True, check=True)
    return built.stdout.strip()


def test_an_emulator_that_ends_in_order_leaves_nothing(busy: subprocess.Popen[str]) -> None:
    pids = processes_below(busy)
    busy.communicate(timeout=SECONDS)
    assert busy.returncode == 0
    assert all(map(is_gone, pids))
    assert on_engine(busy) == []
