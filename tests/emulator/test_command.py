"""`azureml-emulator` as a user runs it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.emulator_contract.violations import is_described, violations
from tests.projects import tiny_project
from tests.targets.azureml.conftest import MANIFEST

from azureml_emulator.background import running
from azureml_emulator.cli import main
from azureml_emulator.faults import KINDS, Fault
from azureml_emulator.options import parser
from azureml_emulator.recording import read_recording

CLIENT = """
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
PYTHON = (sys.executable, "-W", "ignore", "-c", CLIENT)


def run(*words: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """`azureml-emulator WORDS`; Azurite is found in this checkout."""
    path = f"{ROOT / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(Path(sys.executable).with_name("azureml-emulator")), *words],
        cwd=cwd,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
    )


@pytest.mark.usefixtures("ready")
def test_a_command_finds_a_workspace_and_its_exit_code_is_kept(tmp_path: Path) -> None:
    record = tmp_path / "calls.jsonl"
    done = run("--data", "hello:3=data/hello", "--record", str(record), "--", *PYTHON)
    assert (done.returncode, done.stdout) == (7, "westeurope 3\n"), done.stderr
    assert "other hosts, refused: none" in done.stderr
    assert "data asset scans was requested and does not exist; add it with --data scans=FOLDER\n" in done.stderr
    calls = read_recording(record)
    assert f"azureml-emulator: {len(calls)} calls" in done.stderr
    assert sum(map(is_described, calls)) >= 3
    assert violations(calls) == []
    text = record.read_text()
    assert "Bearer" not in text and "client_secret" not in text and "access_token" not in text
    assert record.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    run("stop", "--state", str(folder))


@pytest.mark.usefixtures("ready")
def test_an_emulator_in_the_background_serves_a_shell_until_it_is_stopped(state: Path) -> None:
    # Another proxy in the environment must not get between the emulator and its own storage.
    options = ("--state", str(state))
    started = run("start", "--data", "hello=data/hello", *options, HTTPS_PROXY="http://127.0.0.1:9", NO_PROXY="")
    assert started.returncode == 0, started.stderr
    found = running(state)
    assert found
    assert f"process {found.pid} is running" in started.stderr
    assert (state / "state.json").stat().st_mode & 0o777 == 0o600

    shell = ["sh", "-c", f'eval "$1"; {shlex.join(PYTHON)}', "sh", started.stdout]
    client = subprocess.run(shell, capture_output=True, text=True, timeout=120)
    assert (client.returncode, client.stdout) == (7, "westeurope 1\n"), client.stderr

    second = run("start", *options)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr.startswith(f"error: an emulator is already running in {state} as process {found.pid}\nhint: ")

    stopped = run("stop", *options)
    assert (stopped.returncode, running(state)) == (0, None), stopped.stderr
    assert "data asset scans was requested" in stopped.stderr
    check = f'{started.stdout}\n{stopped.stdout}\nenv | grep -c "^AZURE\\|^HTTPS_PROXY\\|_CA_BUNDLE"'
    bare = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME")}
    assert subprocess.run(["sh", "-c", check], env=bare, capture_output=True, text=True).stdout == "0\n"

    again = run("stop", *options)
    assert (again.returncode, again.stdout) == (0, "")
    assert again.stderr == f"no emulator is running in {state}\n"


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_without_a_command_it_serves_until_a_signal(signum: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("azureml-emulator"))]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stderr
        lines = list(iter(process.stdout.readline, "# the emulator is running; Ctrl-C stops it\n"))
        assert "export AZUREML_ARM_WORKSPACE_NAME=emulator-ws\n" in lines
        process.send_signal(signum)
        assert process.stderr.read().startswith("azureml-emulator: 0 calls\n")
    assert process.returncode == 0


@pytest.mark.usefixtures("ready")
def test_one_that_was_killed_does_not_prevent_the_next(state: Path) -> None:
    options = ("--state", str(state))
    assert run("start", *options).returncode == 0
    first = running(state)
    assert first
    os.kill(first.pid, signal.SIGKILL)
    assert run("start", *options).returncode == 0
    second = running(state)
    assert second and second.pid != first.pid


def test_an_emulator_that_does_not_start_shows_why(state: Path, tmp_path: Path) -> None:
    (tmp_path / "node").symlink_to("/nonexistent")
    done = run("start", "--state", str(state), cwd=tmp_path, PATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "error: the emulator stores blobs in Azurite, which is not installed\n"
        "hint: npm install azurite (in the project's folder, or -g)\n"
    )


@pytest.mark.usefixtures("ready")
def test_the_faults_of_the_help_are_survived(tmp_path: Path, image: str) -> None:
    """All of them in one job, which is preempted too."""
    project = tiny_project(tmp_path, MANIFEST)
    words = [word for example in parser("").examples for word in shlex.split(example, comments=True)]
    faults = [word for option, word in pairwise(words) if option == "--fault"]
    assert {Fault.parse(fault).kind for fault in faults} >= {*KINDS} - {"503"}
    chosen = [word for fault in faults for word in ("--fault", fault)]
    job = (str(Path(sys.executable).with_name("innereye-run")), "--target", "azureml", "tiny.yaml", "--pause=0.2")
    record = tmp_path / "calls.jsonl"
    done = run(*chosen, "--preempt=4", f"--record={record}", "--", *job, cwd=project.root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.run("verify", done.stdout.splitlines()[-1]).exit_code == 0
    assert "Traceback" not in done.stdout + done.stderr
    injected = re.findall(r"(?m)^  fault: ([\w-]+) for ", done.stderr)
    assert sorted(injected) == sorted(fault.kind for fault in map(Fault.parse, faults) for _ in range(fault.times))
    (history,) = re.findall(r"(?m)^  job \S+: (.*)$", done.stderr)
    assert history == "Queued > Preparing > Running > Queued > Preparing > Running > Finalizing > Completed"
    assert violations(read_recording(record)) == []


def test_the_limits_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--limits"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("The emulator does not model:\n- machines: ")
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize("command", ["", "start", "stop", "clean"])
def test_help_fits_into_a_terminal(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    described, _, examples = capsys.readouterr().out.partition("\nExamples:\n")
    assert examples
    assert max(map(len, described.splitlines())) <= 90


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fault", "418", "--", "true"], "'418' is not a fault"),
        (["--data", "hello", "--", "true"], "--data needs NAME=FOLDER, not 'hello'"),
        (["--data", "hello=nowhere", "--", "true"], "the folder nowhere does not exist"),
        (["start", "--data", "hello=nowhere"], "the folder nowhere does not exist"),
        (["start", "--", "true"], "'start' does not take a command"),
        (["--"], "missing command after '--'"),
        (["--colour"], "unknown option '--colour'"),
        (["true"], "unexpected argument 'true'"),
        (["--preempt", "soon"], "--preempt: invalid float value: 'soon'"),
    ],
)
def test_a_mistake_is_an_error_before_anything_starts(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    shown = capsys.readouterr()
    assert (message in shown.err, shown.out) == (True, ""), shown.err
