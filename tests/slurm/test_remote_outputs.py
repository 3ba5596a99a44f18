"""A job on a real cluster whose run folder is copied to a blob store by its first node, whoever follows it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.data.store import ACCOUNT, OPTIONS, ROOT, free_port
from tests.launch.test_ranks_of_one_machine import run_of, several_project, wait_until
from tests.slurm.test_slurm import Cluster, ask, on_cluster, record_of, running

from innereye_runtime.run.output_manifest import verify

CREATE = """
import sys, time
from azure.core.exceptions import AzureError
from azure.storage.blob import ContainerClient
while True:
    try:
        ContainerClient.from_connection_string(sys.argv[1], "runs", retry_total=0).create_container()
        break
    except AzureError:
        time.sleep(0.2)
"""


@pytest.fixture
def remote(needs: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A folder in a blob store in the network of the cluster."""
    needs("slurm", "torch", "azure", "azurite")
    local = ROOT / "node_modules" / ".bin" / "azurite-blob"
    program = str(local) if local.is_file() else str(shutil.which("azurite-blob"))
    key, port = base64.b64encode(secrets.token_bytes(64)).decode(), free_port()
    endpoint = f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName={ACCOUNT};AccountKey={key};{endpoint}")
    with (tmp_path / "azurite.log").open("wb") as log:
        store = subprocess.Popen(
            on_cluster(program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", *OPTIONS),
            env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{key}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    access = os.environ["AZURE_STORAGE_CONNECTION_STRING"]
    subprocess.run(on_cluster(sys.executable, "-c", CREATE, access), check=True, timeout=60)
    yield f"azure://{ACCOUNT}/runs/of-the-cluster"
    store.terminate()
    store.wait(20)


def test_a_job_copies_its_folder_without_its_follower_and_is_resumed_from_the_copy(remote: str, tmp_path: Path) -> None:
    def project_of(name: str) -> Cluster:
        (tmp_path / name).mkdir()
        project = Cluster(several_project(tmp_path / name, "target: slurm, nodes: 2").root)
        manifest = project.root / "several.yaml"
        manifest.write_text(f"{manifest.read_text()}outputs: {{folder: '{remote}'}}\n")
        return project

    first = project_of("first")
    script = first.run("plan", "several.yaml").stdout
    assert f"innereye_runtime.cli.mirror {remote} " in script, script
    follower = first.start("several.yaml", "--rows=8", "--way=0 wait_once")
    run = run_of(first, follower)
    wait_until(lambda: running(run), 120)
    follower.kill()
    follower.communicate()
    stopped = first.run("stop", str(run))
    assert stopped.stdout == f"{run.name}: ended with exit code 143\n"
    wait_until(lambda: ask("squeue", "--noheader") == "", 60)
    shutil.rmtree(first.root)

    second = project_of("second")
    downloaded = second.run("download", f"{remote}/{run.name}", "--to", "downloads")
    assert downloaded.exit_code == 0, downloaded.stderr
    assert "the run ended with exit code 143" in downloaded.stderr
    assert record_of(second.root / "downloads" / run.name)["state"] == "stopped"

    resumed = second.run("resume", f"{remote}/{run.name}")
    assert resumed.exit_code == 0, resumed.stderr + resumed.stdout
    record = record_of(second.root / "outputs" / run.name)
    assert [attempt["state"] for attempt in record["attempts"]] == ["stopped", "completed"]
    assert record["attempts"][1]["epoch"] == 1
    again = second.run("download", f"{remote}/{run.name}", "--to", "complete", "--json")
    found = json.loads(again.stdout)
    assert (found["exit_code"], verify(Path(found["run"]))) == (0, ())
    assert (Path(found["run"]) / "outputs.json").read_bytes() == (resumed.run / "outputs.json").read_bytes()
