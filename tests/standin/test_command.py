"""`innereye-run standin -- COMMAND` as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def standin(*words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("innereye-run")), "standin", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)


@pytest.mark.usefixtures("ready")
def test_a_command_finds_a_workspace_and_its_exit_code_is_kept() -> None:
    code = """
import os, sys
from azure.ai.ml import MLClient
from azure.identity import EnvironmentCredential
names = ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME")
client = MLClient(EnvironmentCredential(), *(os.environ[f"AZUREML_ARM_{name}"] for name in names))
print(client.workspaces.get(client.workspace_name).location, client.data.get("hello", label="latest").version)
sys.exit(7)
"""
    done = standin("--data", "hello:3=data/hello", "--", sys.executable, "-W", "ignore", "-c", code)
    assert (done.returncode, done.stdout) == (7, "westeurope 3\n"), done.stderr
    assert "others, refused: none" in done.stderr
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
