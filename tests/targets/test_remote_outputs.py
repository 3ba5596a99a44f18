"""A run whose outputs.folder is in a blob store: copied as training goes, resumed from there in another project, and
downloaded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.conftest import azurite, container
from tests.data.store import Azurite, Container
from tests.projects import MANIFEST, Project, tiny_project

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.output_manifest import verify

__all__ = ["azurite", "container"]

WORDS = ("--num_epochs=6", "--pause=0.1")


@pytest.fixture
def remote(needs: Callable[..., None], container: Container) -> str:
    needs("azure", "torch")
    return container.url("runs")


def project_of(root: Path, remote: str, more: str = "") -> Project:
    return tiny_project(root, f"{MANIFEST}outputs: {{folder: '{remote}'}}\n{more}")


def store_of(remote: str, run: str) -> BlobStore:
    return BlobStore(BlobUrl.parse(f"{remote}/{run}"))


def runs_below(project: Project) -> list[Path]:
    return sorted(path.parent for path in project.root.glob("outputs/*/run.json"))


def rows_in(store: BlobStore) -> int:
    """Of the metrics that count beside a checkpoint; each epoch has two."""
    for index in store.indexes()[:1]:
        if "checkpoints/last.ckpt" in index.files and (csv := index.files.get("metrics.csv")):
            return len(store.read_bytes(csv.place("metrics.csv")).splitlines()) - 1
    return 0


def test_a_killed_run_is_resumed_from_its_copy_in_another_project(remote: str, tmp_path: Path) -> None:
    first = project_of(tmp_path / "first", remote)
    launcher = first.start("tiny.yaml", *WORDS)
    deadline = time.monotonic() + 120
    while not runs_below(first):
        assert launcher.poll() is None and time.monotonic() < deadline, launcher.communicate()
        time.sleep(0.05)
    (run,) = runs_below(first)
    store = store_of(remote, run.name)
    while rows_in(store) < 4:
        assert launcher.poll() is None and time.monotonic() < deadline, launcher.communicate()
        time.sleep(0.1)
    process = int(json.loads((run / ".lock").read_text())[0]["process"].partition("-")[0])
    launcher.kill()
    os.killpg(process, signal.SIGKILL)
    launcher.communicate()
    assert not (run / "outputs.json").exists()
    shutil.rmtree(first.root)

    second = project_of(tmp_path / "second", remote)
    resumed = second.run("resume", f"{remote}/{run.name}")
    assert resumed.exit_code == 0, resumed.stderr
    assert f"restored {run.name} from {remote}/{run.name}" in resumed.stderr
    assert resumed.run == second.root / "outputs" / run.name
    assert verify(resumed.run) == ()
    attempts = resumed.record["attempts"]
    assert [each["state"] for each in attempts] == ["stopped", "completed"]
    assert attempts[1]["resumed_from"] and attempts[1]["epoch"] >= 1

    whole = second.run("tiny.yaml", *WORDS)
    assert whole.exit_code == 0, whole.stderr
    assert whole.weights == resumed.weights
    for name in ("metrics.json", "metrics.csv"):
        assert (whole.run / name).read_text() == (resumed.run / name).read_text()
    for one in (whole.run, resumed.run):
        copy = store_of(remote, one.name)
        listed = json.loads((one / "outputs.json").read_text())["files"]
        assert sorted(name for name in copy.names() if not name.startswith(".staging/")) == sorted(
            ["outputs.json", *(each["path"] for each in listed)]
        )
        assert copy.read_bytes("outputs.json") == (one / "outputs.json").read_bytes()
    assert {path.name for path in (second.root / "outputs").iterdir()} == {whole.run.name, resumed.run.name}

    # A copy that is complete is left as it is; one that is not is finished, from this folder alone.
    again = second.run("resume", str(whole.run))
    assert (again.exit_code, "is complete; there is nothing to resume" in again.stderr) == (0, True)
    assert "the copy in" not in again.stderr
    store_of(remote, whole.run.name).blob("outputs.json").delete_blob()
    finished = second.run("resume", f"outputs/{whole.run.name}", "--json")
    assert (finished.exit_code, json.loads(finished.stdout)["exit_code"]) == (0, 0)
    assert f"the copy in {remote}/{whole.run.name} is complete" in finished.stderr

    # Elsewhere it is downloaded and verified, and nothing twice; damage is found.
    there = project_of(tmp_path / "there", remote)
    downloaded = there.run("download", f"{remote}/{whole.run.name}", "--json")
    assert downloaded.exit_code == 0, downloaded.stderr
    found = json.loads(downloaded.stdout)
    assert found["run"] == str(there.root / "outputs" / whole.run.name)
    assert (found["exit_code"], verify(Path(found["run"]))) == (0, ())
    assert json.loads(there.run("download", f"{remote}/{whole.run.name}", "--json").stdout)["files"] == 0
    store_of(remote, whole.run.name).blob("metrics.json").upload_blob(b"{}", overwrite=True)
    damaged = there.run("download", f"{remote}/{whole.run.name}", "--to", "other")
    assert (damaged.exit_code, "arrived damaged: metrics.json is missing" in damaged.stderr) == (6, True), (
        damaged.stderr
    )
    assert not (there.root / "other" / whole.run.name).exists()


def test_an_output_that_cant_be_used_ends_before_anything_is_trained(
    azurite: Azurite, remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = project_of(tmp_path / "project", remote)
    sas = azurite.sas("rl")
    access = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={sas}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", access)
    result = project.run("tiny.yaml")
    assert result.exit_code == 6
    assert "can't be written: 403" in result.stderr
    (run,) = runs_below(project)
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], record["exit_code"]) == ("failed", 6)
    kept = [path.read_text(errors="replace") for path in project.root.rglob("*") if path.is_file()]
    assert not any(sas.rpartition("sig=")[2] in text for text in [*kept, result.stderr, result.stdout])

    missing = project.run("tiny.yaml", "--set", "outputs.folder=azure://tests/missing/runs")
    assert (missing.exit_code, "404 ContainerNotFound" in missing.stderr) == (3, True), missing.stderr
    assert runs_below(project) == [run]
    (checked,) = (
        each
        for each in json.loads(project.run("doctor", "tiny.yaml", "--json").stdout)
        if each["check"] == "remote output"
    )
    assert (checked["status"], checked["message"]) == ("ok", f"run folders are copied to {remote}")
    nothing = project.run("resume", f"{remote}/none")
    assert (nothing.exit_code, f"{remote}/none is not the copy of a run" in nothing.stderr) == (2, True), nothing.stderr
    plan = json.loads(project.run("plan", "tiny.yaml", "--json").stdout)
    assert plan["copied_to"] == f"{remote}/<UTC start>_Tiny"
