"""`innereye-run standin -- COMMAND` as a user runs it."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from tests.projects import tiny_project
from tests.targets.azureml.conftest import MANIFEST

from azureml_emulator.faults import KINDS, Fault
from innereye_runtime.cli.commands.standin import parser

ROOT = Path(__file__).resolve().parents[2]


def standin(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("innereye-run")), "standin", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)


@pytest.mark.usefixtures("ready")
def test_a_command_finds_a_workspace_and_its_exit_code_is_kept() -> None:
    code = """
import os, sys
from azure.ai.ml import MLClient
from azure.core.exceptions import ResourceNotFoundError
from azure.identity import EnvironmentCredential
names = ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME")
client = MLClient(EnvironmentCredential(), *(os.environ[f"AZUREML_ARM_{name}"] for name in names))
print(client.workspaces.get(client.workspace_name).location, client.data.get("hello", label="latest").version)
try:
    client.data.get("scans", version="1")
except ResourceNotFoundError:
    sys.exit(7)
"""
    done = standin("--data", "hello:3=data/hello", "--", sys.executable, "-W", "ignore", "-c", code)
    assert (done.returncode, done.stdout) == (7, "westeurope 3\n"), done.stderr
    assert "other hosts, refused: none" in done.stderr
    assert "data asset scans was asked for and is not there; with --data scans=FOLDER it is\n" in done.stderr
    assert "violations of the description: none" in done.stderr


@pytest.mark.usefixtures("ready")
def test_the_faults_of_the_help_are_survived(tmp_path: Path, image: str) -> None:
    """All of them in one job, whose machine is taken away too."""
    project = tiny_project(tmp_path, MANIFEST)
    words = [word for example in parser().examples for word in shlex.split(example, comments=True)]
    faults = [word for option, word in pairwise(words) if option == "--fault"]
    assert {Fault.parse(fault).kind for fault in faults} >= {*KINDS} - {"503"}
    chosen = [word for fault in faults for word in ("--fault", fault)]
    job = (str(Path(sys.executable).with_name("innereye-run")), "--target", "azureml", "tiny.yaml", "--pause=0.2")
    done = standin(*chosen, "--preempt=4", "--", *job, cwd=project.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.run("verify", done.stdout.splitlines()[-1]).exit_code == 0
    assert "Traceback" not in done.stdout + done.stderr
    told = re.findall(r"(?m)^  fault: ([\w-]+) for ", done.stderr)
    assert sorted(told) == sorted(fault.kind for fault in map(Fault.parse, faults) for _ in range(fault.times))
    (history,) = re.findall(r"(?m)^  job \S+: (.*)$", done.stderr)
    assert history == "Queued > Preparing > Running > Queued > Preparing > Running > Finalizing > Completed"
    assert "violations of the description: none" in done.stderr


def test_what_is_not_modelled_is_listed() -> None:
    done = standin("--limits")
    assert done.returncode == 0
    assert done.stdout.startswith("The stand-in does not model:\n- machines: ")
    assert max(map(len, done.stdout.splitlines())) <= 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fault", "418", "--", "true"], "'418' is no fault"),
        (["--data", "hello", "--", "true"], "--data takes NAME=FOLDER, not 'hello'"),
        (["--data", "hello=nowhere", "--", "true"], "there is no folder nowhere"),
        (["--"], "there is no command after '--'"),
        (["--colour"], "unknown option '--colour'"),
    ],
)
def test_a_mistake_is_told_before_anything_starts(words: list[str], message: str, needs: Callable[..., None]) -> None:
    done = standin(*words)
    assert (done.returncode, message in done.stderr, done.stdout) == (2, True, ""), done.stderr
