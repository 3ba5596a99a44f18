"""Whole jobs on another stand-in for AzureML, which was written apart from this project and its emulator, and refuses
each request that Microsoft's published description does not allow.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.emulator_contract.api_description import find_standin
from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, ROOT, address_in
from tests.targets.azureml.test_run import EPOCHS, SLOW, ended, outcome

# The stand-in leaves sockets to the garbage collector.
pytestmark = [pytest.mark.usefixtures("image"), pytest.mark.filterwarnings("ignore::ResourceWarning")]

DATA = "dataset: {id: rows, local: rows}\n"
READS_DATA = (
    "        self.note(\"setup\")\n        assert (Path(self.local_dataset) / 'rows.csv').read_text() == '1,2'\n"
)
PRINCIPAL = ("11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222", "not-a-secret")


@pytest.fixture(scope="module")
def opened(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    needs("azureml-standin", "azure", "azurite", "docker")
    folder = find_standin(os.environ)
    assert folder is not None
    sys.path.insert(0, str(folder))
    try:
        from standin.cloud import Cloud  # type: ignore[import-not-found]

        azurite = ROOT / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
        with Cloud(folder / "spec", azurite, root=tmp_path_factory.mktemp("standin"), grace=15) as cloud:
            yield cloud
        for server in (cloud.control, cloud.proxy):
            server.server_close()
        gc.collect()
    finally:
        sys.path.remove(str(folder))


@pytest.fixture
def standin(opened: Any) -> Iterator[Any]:
    yield opened
    assert opened.violations == []
    assert opened.proxy.refused == []


@pytest.fixture
def project(project: Project) -> Project:
    """With a dataset, which has to be put into the workspace."""
    project.write("rows/rows.csv", "1,2")
    project.write("tiny.py", (project.root / "tiny.py").read_text().replace('        self.note("setup")\n', READS_DATA))
    project.write("tiny.yaml", MANIFEST + DATA)
    return project


def environment(cloud: Any) -> dict[str, str]:
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
    workspace = cloud.workspace
    return {
        **cloud.environment(),
        **dict(zip(names, PRINCIPAL, strict=True)),
        "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
        "AZUREML_ARM_RESOURCEGROUP": workspace.group,
        "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
    }


def put_dataset(cloud: Any, name: str, folder: Path) -> None:
    """As the SDK does: files below a folder of the datastore, and a data asset that names it."""
    container = cloud.workspace.blobs.get_container_client(cloud.workspace.container_of("workspaceblobstore"))
    for file in folder.iterdir():
        container.upload_blob(f"data/{name}/{file.name}", file.read_bytes(), overwrite=True)
    uri = f"azureml://datastores/workspaceblobstore/paths/data/{name}"
    properties = {"dataType": "uri_folder", "dataUri": uri, "isArchived": False, "isAnonymous": False}
    cloud.workspace.put("data", name, "1", {"description": None, "tags": {}, "properties": {}, **properties})


def start(project: Project, cloud: Any, *words: str) -> subprocess.Popen[str]:
    put_dataset(cloud, "rows", project.root / "rows")
    return project.start("--target", "azureml", "tiny.yaml", *words, environment=environment(cloud))


def newest(cloud: Any) -> Any:
    return list(cloud.workspace.jobs.values())[-1]


def preempt_after(child: subprocess.Popen[str], cloud: Any, epoch: int) -> None:
    assert child.stdout
    assert next(line for line in child.stdout if line.startswith(f"epoch {epoch} "))
    newest(cloud).preempt()


def test_hello_on_two_nodes_preempted_twice_ends_as_here(project: Project, standin: Any) -> None:
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n") + DATA)
    child = start(project, standin, "--pause=0.8", "--num_epochs=5")
    preempt_after(child, standin, 1)
    preempt_after(child, standin, 3)
    result = ended(child)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert newest(standin).attempt == 3
    attempts = result.record["attempts"]
    assert [attempt["state"] for attempt in attempts] == ["stopped", "stopped", "completed"]
    assert all(attempt["resumed_from"] for attempt in attempts[1:])
    assert project.run("verify", str(result.run)).exit_code == 0
    assert result.weights == project.run("tiny.yaml", "--num_epochs=5").weights


def test_hello_alone_preempted_twice_ends_as_here(project: Project, standin: Any) -> None:
    child = start(project, standin, *SLOW)
    preempt_after(child, standin, 2)
    preempt_after(child, standin, 5)
    result = ended(child)
    assert result.exit_code == 0, result.stdout + result.stderr
    assert newest(standin).attempt == 3
    assert project.run("verify", str(result.run)).exit_code == 0
    assert outcome(result) == outcome(project.run("tiny.yaml", EPOCHS))


def test_a_cancelled_job_and_one_that_failed_have_their_exit_codes(project: Project, standin: Any) -> None:
    child = start(project, standin, *SLOW)
    assert child.stderr and child.stdout
    address = next(address_in(line) for line in child.stderr if line.startswith("submitted"))
    assert next(line for line in child.stdout if line.startswith("epoch 2 "))
    stopped = project.run("stop", address, environment=environment(standin))
    assert stopped.stdout.endswith(": Canceled\n"), stopped.stderr
    result = ended(child)
    assert result.exit_code == 143, result.stderr
    assert result.record["state"] == "stopped"
    assert (result.run / "checkpoints" / "last.ckpt").is_file()
    resumed = project.run("resume", str(result.run), environment=environment(standin))
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.weights == project.run("tiny.yaml", EPOCHS).weights
    failed = ended(start(project, standin, "--misbehaviour=exit"))
    assert failed.exit_code == 42
    assert failed.record["reason"] == "the user's code exited with 42"
