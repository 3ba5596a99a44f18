"""Commands that only look start fast and touch nothing: no heavy import, no network, no program, no file written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GUARD = Path(__file__).with_name("guard.py")

COMMANDS = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["validate", "manifests/hello.yaml", "--num_epochs=3"],
    ["validate", "--format", "sarif", "manifests/hello.yaml"],
    ["plan", "manifests/hello.yaml"],
    ["plan", "--json", "--target", "process", "manifests/hello.yaml", "--l_rate=1e-2"],
    ["plan", "--target", "azureml", "manifests/hello.yaml"],
    ["plan", "--json", "manifests/azureml.yaml"],
    ["plan", "manifests/sweep.yaml"],
    ["schema"],
    ["completion", "bash"],
    ["completion", "--candidates", "manifests/hello.yaml", "--l_"],
]


def guarded(*argv: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, str(GUARD), *argv]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_a_command_that_only_looks_touches_nothing(argv: list[str]) -> None:
    done = guarded(*argv)
    assert (done.returncode, done.stderr) == (0, "heavy:\n")
    assert done.stdout


def test_explain_touches_nothing_where_the_source_tells_all() -> None:
    done = guarded("explain", "manifests/hello.yaml")
    assert (done.returncode, done.stderr) == (0, "heavy:\n")


@pytest.mark.parametrize(
    "deed",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['true'])",
        "open('made-by-guard-test', 'w')",
        "import os; os.mkdir('made-by-guard-test')",
    ],
)
def test_the_guard_itself_refuses(deed: str, tmp_path: Path) -> None:
    hooked = f"import runpy, sys; sys.addaudithook(runpy.run_path({str(GUARD)!r})['hook'])"
    code = f"import os; os.chdir({str(tmp_path)!r}); {hooked}; {deed}"
    done = guarded(code=code)
    assert (done.returncode, done.stderr.split(":")[0]) == (99, "refused")


def test_importing_the_package_is_light() -> None:
    heavy = "{'torch', 'docker', 'azure', 'numpy', 'param'} & set(sys.modules)"
    code = f"import sys, innereye_runtime, innereye_runtime.targets.base; print(sorted({heavy}))"
    assert guarded(code=code).stdout == "[]\n"
