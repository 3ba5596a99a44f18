"""A job without an image, submitted by an installed wheel with no checkout: its environment is built from the wheel."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.emulator.test_environments import MANIFEST, python_image
from tests.emulator_contract.violations import violations
from tests.projects import Result, tiny_project
from tests.wheels import build_wheel, install_wheel

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator

__all__ = ["python_image"]
pytestmark = pytest.mark.usefixtures("ready", "image", "python_image")


def test_an_installed_wheel_submits_a_job_whose_environment_it_carries(tmp_path: Path, emulator: Emulator) -> None:
    commands = install_wheel(build_wheel(tmp_path), tmp_path / "environment")
    (tmp_path / "project").mkdir()
    project = tiny_project(tmp_path / "project", MANIFEST)
    done = subprocess.run(
        [commands / "innereye-run", "--target", "azureml", "tiny.yaml", "--num_epochs=1"],
        cwd=project.root,
        env={**os.environ, **emulator.environment(), "INNEREYE_AZUREML_IMAGE": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "COPY . /opt/innereye-runtime/source" in done.stdout
    record = Result(exit_code=0, stdout=done.stdout, stderr=done.stderr).record
    assert (record["state"], record["image"]) == ("completed", None)
    assert violations(emulator.calls) == []
