"""The manifests that ship with the project and name AzureML as their target, as they are."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import IMAGE, ROOT, newest


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(("name", "nodes"), [("azureml", 1), ("multi_node", 2)])
def test_an_example_runs_in_azureml(cloud: Any, tmp_path: Path, name: str, nodes: int) -> None:
    for folder in ("manifests", "data"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    project = Project(tmp_path)
    project.write("pyproject.toml", "")
    cloud.add_data("hello", tmp_path / "data" / "hello")
    environment = {**cloud.environment(), "INNEREYE_AZUREML_IMAGE": IMAGE}
    result = project.run("--smoke", f"manifests/{name}.yaml", environment=environment)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert result.run.parent == tmp_path / "outputs"
    assert newest(cloud).properties["resources"]["instanceCount"] == nodes
    assert project.run("verify", str(result.run)).exit_code == 0
