"""The containers of test_promises.py, unchanged, in Docker and in Azure Machine Learning: the same numbers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.promises.foreign import STYLES, check_promises, foreign_project
from tests.targets.azureml.conftest import IMAGE, cloud, image, newest, standing_cloud

__all__ = ["cloud", "image", "standing_cloud"]

pytestmark = pytest.mark.usefixtures("image")

COMPUTE = f"""\
compute:
  shm_size: 256m
  docker: {{image: "{IMAGE}"}}
  azureml: {{image: "{IMAGE}"}}
"""
POINTS = ("/opt/mounted/lungs", "/opt/mounted/more")
MOUNTS = (f"--dataset_mountpoint={POINTS[0]}", f"--extra_dataset_mountpoints={POINTS[1]}")
REGRESSION = ("--regression_test_folder=expected", "--regression_test_csv_tolerance=0.05")


@pytest.mark.parametrize("name", STYLES)
def test_docker(tmp_path: Path, name: str) -> None:
    style = STYLES[name]
    project = foreign_project(tmp_path, style, COMPUTE)
    result = project.through("new", "--target=docker", "--ranks=2", "--output_to=elsewhere", *MOUNTS, *REGRESSION)
    facts = check_promises(result, style)
    assert result.run.parent == tmp_path / "elsewhere"
    assert facts["datasets"] == list(POINTS)
    assert (facts.get("in azure", False), result.record["target"]) == (False, "docker")


@pytest.mark.parametrize("name", STYLES)
def test_azureml(tmp_path: Path, cloud: Any, name: str) -> None:
    style = STYLES[name]
    project = foreign_project(tmp_path, style, COMPUTE)
    for dataset, folder in (("lungs", "lungs"), ("lungs-more", "more")):
        cloud.add_data(dataset, tmp_path / "data" / folder)
    shutil.rmtree(tmp_path / "data")  # what Azure has is read, and nothing else
    project.write("InnerEye/settings.yml", "variables: {cluster: cpu}\n")
    door, *words = {
        "old": ["old", "--azureml=True", "--use_gpu=False"],
        "successor": ["old", "--cluster=cpu", "--use_gpu=False"],
        "today": ["new", "--target=azureml", "--set", "compute.azureml.cluster=cpu"],
    }[name]
    result = project.through(
        door, *words, "--ranks=2", *REGRESSION, environment={**cloud.environment(), "INNEREYE_AZUREML_IMAGE": IMAGE}
    )
    facts = check_promises(result, style)
    assert (facts.get("in azure", True), result.record["target"]) == (True, "azureml")
    job = newest(cloud)
    assert [job.inputs[f"dataset_{index}"]["uri"].partition("/data/")[2] for index in range(2)] == [
        "lungs/versions/1",
        "lungs-more/versions/1",
    ]
    tags = {"old": {"tag": "of the class"}, "successor": {"tag": "of the class", "ranks": "2"}, "today": {}}
    assert job.properties["tags"].items() >= tags[name].items()
    limit = job.properties.get("limits") or {}
    assert limit.get("timeout") == ("PT1H" if name == "successor" else None)
