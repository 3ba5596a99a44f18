"""The datasets of a container: in the plan, on a real engine, and with blobs of a real store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.data.conftest import azurite, cache_home, container
from tests.data.store import Azurite, Container
from tests.projects import Project, tiny_project
from tests.targets.docker.conftest import Engine, trouble_project

from innereye_runtime.data.fingerprint.fingerprint import Fingerprint
from innereye_runtime.data.staging import StagedDataset
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.docker.datasets import with_datasets
from innereye_runtime.targets.docker.request import Bind, DockerPlan, HostUser, plan_for

__all__ = ["azurite", "cache_home", "container"]

CALLER = HostUser(uid=1000, gid=1001, groups=(), memory=Memory.parse("10g"))
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
    job = resolve_job(project.write("job.yaml", text), cwd=project.root, target="docker", overrides=overrides)
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
    brought = StagedDataset(path=place, source=URL, mode="mount", reason="", fingerprint=Fingerprint("0" * 64, 1, 1))
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


@pytest.fixture
def blobs(container: Container, project: Project) -> str:
    """A dataset in the store, and a container that waits for its end in the project."""
    trouble_project(project.root)
    container.put({"data/scans/one.nii": b"one" * 1000, "data/empty.csv": b""})
    return container.url("data")


def manifest(project: Project, dataset: str) -> str:
    text = "schema: 1\ncontainer: {class: Trouble, namespaces: [trouble]}\n"
    return project.write("blobs.yaml", f"{text}dataset: {{{dataset}}}\n").name


def mounts(cache: Path) -> list[Path]:
    return [path for path in (cache / "mounts").glob("*") if path.exists()]


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def waiting(project: Project, *words: str) -> subprocess.Popen[str]:
    launcher = project.start("--target", "docker", *words, "--trouble=waits")
    assert launcher.stdout is not None and launcher.stderr is not None
    while "waiting" not in (line := launcher.stdout.readline()):
        assert line, launcher.stderr.read()
    return launcher


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_mount_goes_with_its_launcher(
    engine: Engine, needs: Callable[..., None], project: Project, blobs: str, cache_home: Path, kind: signal.Signals
) -> None:
    needs("fuse")
    launcher = waiting(project, manifest(project, f"id: '{blobs}', mode: mount, strict: true"))
    (folder,) = mounts(cache_home)
    assert os.path.ismount(folder / "data")
    (name,) = engine.names()
    assert engine("exec", name, "cat", f"{folder}/data/scans/one.nii").stdout == "one" * 1000
    assert engine("exec", name, "touch", f"{folder}/data/new", check=False).returncode != 0
    launcher.send_signal(kind)
    launcher.communicate(timeout=60)
    if kind == signal.SIGKILL:
        assert json.loads(project.run("clean", "--target", "docker", "--json").stdout)[0]["removed"]
    assert until(lambda: mounts(cache_home) == [])
    assert engine.names() == []
    (run,) = (project.root / "outputs").iterdir()
    (described,) = json.loads((run / "run.json").read_text())["datasets"]
    assert (described["source"], described["mode"], described["files"]) == (blobs, "mount", 2)


def test_what_is_in_the_cache_is_bound_read_only(
    engine: Engine, project: Project, blobs: str, cache_home: Path
) -> None:
    result = project.run("--target", "docker", manifest(project, f"id: '{blobs}', mode: download"), "--num_epochs=1")
    assert result.exit_code == 0, result.stderr
    (described,) = result.record["datasets"]
    assert Path(described["path"]).is_relative_to(cache_home / "datasets")
    assert (described["source"], described["mode"], described["files"]) == (blobs, "download", 2)
    assert described["mb_per_s"] > 0


def test_what_cannot_be_had_is_said_before_anything_is_started(
    engine: Engine, project: Project, blobs: str, azurite: Azurite
) -> None:
    def error(dataset: str, exit_code: int, **environment: str) -> str:
        name = manifest(project, f"id: '{dataset}', mode: download")
        result = project.run("--target", "docker", name, environment=environment)
        assert (result.exit_code, result.stdout) == (exit_code, "")
        assert not (project.root / "outputs").exists()
        assert "Traceback" not in result.stderr
        return result.stderr

    assert f"dataset: there are no blobs below {blobs}x" in error(f"{blobs}x", 5)
    assert "may hold 1.02 kB" in error(blobs, 3, INNEREYE_CACHE_LIMIT="1k")
    access = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={azurite.sas('r')}"
    assert "the store refuses a SAS token: 403" in error(blobs, 5, AZURE_STORAGE_CONNECTION_STRING=access)
    assert engine.names() == []
