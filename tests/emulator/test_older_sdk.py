"""The path of a job with an azure-ai-ml that is older than the one that all other tests have, and without torch."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.emulator_contract.violations import violations
from tests.projects import Project, Result
from tests.targets.azureml.conftest import IMAGE, ROOT

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator

pytestmark = pytest.mark.usefixtures("ready", "image")
VERSION = "1.34.1"


@dataclass(frozen=True, slots=True)
class OlderProject(Project):
    """A project on which `innereye-run` of the environment that INNEREYE_OLDER_SDK names works."""

    def command(self, *words: str) -> list[str]:
        return [os.environ["INNEREYE_OLDER_SDK"], *words]


def outcome(result: Result) -> tuple[object, ...]:
    """What must be equal whatever submitted the job; one file of TensorBoard's has a time and a host in its name."""
    files = (entry["path"] for entry in json.loads((result.run / "outputs.json").read_text())["files"])
    names = sorted(re.sub(r"\.tfevents\..*", ".tfevents", name) for name in files)
    return result.weights, (result.run / "metrics.json").read_bytes(), names


def test_hello_is_submitted_followed_and_brought_home(
    emulator: Emulator, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("older-azure-ai-ml")
    python = Path(os.environ["INNEREYE_OLDER_SDK"]).with_name("python")
    look = "import azure.ai.ml as sdk, importlib.util as util; print(sdk.VERSION, util.find_spec('torch'))"
    found = subprocess.run([python, "-W", "ignore", "-c", look], capture_output=True, text=True, check=True).stdout
    assert found == f"{VERSION} None\n"
    # From its wheel, beside that SDK, the emulator starts; it needs neither the checkout nor the newer SDK.
    program = python.with_name("azureml-emulator")
    command = [program, "--", python, "-c", "import os; print(os.environ['AZUREML_ARM_WORKSPACE_NAME'])"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "emulator-ws\n"
    for folder in ("manifests", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    older = OlderProject(tmp_path)
    older.write("pyproject.toml", "")
    emulator.add_data("hello", tmp_path / "data" / "hello")
    hello = ("manifests/hello.yaml", "--num_epochs=1")
    environment = {**emulator.environment(), "INNEREYE_AZUREML_IMAGE": IMAGE}

    there = older.run("--target", "azureml", *hello, environment=environment)
    assert there.exit_code == 0, there.stdout + there.stderr
    assert "epoch 1 of 1" in there.stdout
    assert outcome(there) == outcome(Project(tmp_path).run("--target", "process", *hello))

    (address,) = re.findall(r"azureml://\S+/jobs/[\w-]+", there.stderr)
    shutil.move(there.run, tmp_path / "first")
    again = older.run("download", address, environment=environment)
    assert again.exit_code == 0, again.stderr
    assert older.run("verify", str(again.run)).exit_code == 0
    assert "epoch 1 of 1" in older.run("logs", address, environment=environment).stdout
    assert violations(emulator.calls) == []
    assert emulator.proxy.refused == []
