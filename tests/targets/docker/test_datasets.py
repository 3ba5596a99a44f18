"""The datasets of a container: in the plan, on a real engine, and with blobs of a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.projects import Project, tiny_project

from innereye_runtime.data.bringing import Brought
from innereye_runtime.data.fingerprint import Fingerprint
from innereye_runtime.job.resolve import resolve
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.docker.datasets import with_datasets
from innereye_runtime.targets.docker.request import Bind, Caller, DockerPlan, plan_for

CALLER = Caller(uid=1000, gid=1001, groups=(), memory=Memory.parse("10g"))
URL = "azure://account/container/brats"
OWN = """\
from tiny import Tiny


class Own(Tiny):
    def __init__(self):
        super().__init__()
        self.azure_dataset_id = "{id}"
        self.local_dataset = {local}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "data").mkdir()
    (tmp_path / "project").mkdir()
    return tiny_project(tmp_path / "project")


def planned(project: Project, more: str = "", *overrides: str, name: str = "Tiny") -> DockerPlan:
    module = name.lower()
    text = f"schema: 1\ncontainer: {{class: {name}, namespaces: [{module}]}}\n{more}"
    job = resolve(project.write("job.yaml", text), cwd=project.root, target="docker", overrides=overrides)
    return plan_for(job, CALLER)


def test_blobs_are_in_the_plan_and_where_they_will_lie_is_not(project: Project) -> None:
    plan = planned(project, f"datasets: [{{local: ../data}}, {{id: '{URL}', mode: download}}]\n")
    assert plan.datasets == (Dataset(local=project.root.parent / "data"), Dataset(id=URL, mode="download"))
    assert plan.request.binds == (Bind(project.root.parent / "data"), Bind(project.root))
    assert plan.handover.datasets == ()
    assert plan.describe()["datasets"] == [str(project.root.parent / "data"), URL]


def test_what_was_brought_is_bound_and_handed_over(project: Project) -> None:
    plan = planned(project, f"dataset: {{id: '{URL}'}}\n")
    place = Path("/cache/mounts/x/data")
    brought = Brought(path=place, source=URL, mode="mount", reason="", fingerprint=Fingerprint("0" * 64, 1, 1))
    full = with_datasets(plan, [brought])
    assert full.request == replace(plan.request, binds=(Bind(place), Bind(project.root)))
    assert full.handover == replace(plan.handover, datasets=(place,))


@pytest.mark.parametrize(
    ("id", "local", "expected"),
    [
        (URL, "None", [Dataset(id=URL)]),
        (URL, "'../data'", [Dataset(id=URL, local=Path("../data"))]),
        (URL, "'/opt/in the image'", []),
        (URL, "__import__('os').environ.get('DATA')", []),  # only the running side will know
        ("", "None", []),
    ],
)
def test_a_class_may_name_its_dataset_itself(project: Project, id: str, local: str, expected: list[Dataset]) -> None:
    project.write("own.py", OWN.format(id=id, local=local))
    plan = planned(project, name="Own")
    assert plan.datasets == tuple(replace(one, local=one.local and project.root / one.local) for one in expected)
    assert {bind.source for bind in plan.request.binds} >= {one.local for one in plan.datasets if one.local}


def test_a_folder_of_the_command_line_comes_instead_of_the_manifests(project: Project) -> None:
    (project.root.parent / "other").mkdir()
    text = f"dataset: {{id: '{URL}'}}\n"
    plan = planned(project, text, f"--local_dataset={project.root.parent}/other")
    assert [one.local for one in plan.datasets] == [project.root.parent / "other"]
    assert planned(project, text, "--local_dataset=/nowhere").datasets == ()
