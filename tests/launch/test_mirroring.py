"""The remote copy of a run as commands use it: begun, finished, restored, downloaded and refused; in a real store."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.conftest import azurite, container
from tests.data.store import Container

from innereye_runtime.cli.ui.remote_copy import wait_with_copy
from innereye_runtime.errors import OutputError, PreflightError, UsageError
from innereye_runtime.launch import mirroring
from innereye_runtime.launch.mirroring import (
    Mirroring,
    check_copy,
    copy_of,
    download_run,
    finish_copy,
    restore_run,
)
from innereye_runtime.manifest.model import Container as ContainerClass
from innereye_runtime.manifest.model import Manifest, Outputs
from innereye_runtime.run import writer_lease
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.output_manifest import verify, write_outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord

__all__ = ["azurite", "container"]


@pytest.fixture
def folder(needs: Callable[..., None], container: Container, monkeypatch: pytest.MonkeyPatch) -> str:
    needs("azure")
    monkeypatch.setattr(writer_lease, "SECONDS", 15)
    return container.url("runs")


def manifest_of(folder: str) -> Manifest:
    return Manifest(path=None, name="m", container=ContainerClass(class_name="M"), outputs=Outputs(folder=folder))


def run_in(outputs: Path, checkpoint: str = "1") -> RunPaths:
    """A run that is under way."""
    paths = RunPaths(outputs / "2026_M")
    paths.checkpoints.mkdir(parents=True)
    record = RunRecord(id="2026_M", model="M", target="process")
    record.begin_attempt("host")
    record.write(paths)
    paths.last_checkpoint.write_text(checkpoint)
    return paths


def complete(paths: RunPaths) -> None:
    record = RunRecord.read(paths)
    record.end_attempt("completed", 0, "")
    record.write(paths)
    (paths.root / "latest.txt").unlink(missing_ok=True)
    (paths.root / "latest.txt").symlink_to("checkpoints/last.ckpt")
    write_outputs(paths.root)


def test_a_run_goes_from_folder_to_folder_and_the_one_that_was_left_is_refused(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, said = f"{folder}/2026_M", list[str]()
    first = run_in(tmp_path / "first")
    copying = Mirroring(first, folder, report=said.append)
    copying.begin()
    monkeypatch.setattr(writer_lease, "SECONDS", -4)  # the patience of who waits for it: a second
    with pytest.raises(UsageError, match=f"another process writes to {url}"):
        restore_run(url, tmp_path / "second", report=said.append)
    monkeypatch.setattr(writer_lease, "SECONDS", 15)
    assert not (tmp_path / "second").exists()
    monkeypatch.setattr(writer_lease, "SECONDS", -4)
    with pytest.raises(UsageError, match=f"another process writes to {url}"):
        Mirroring(first, folder, report=said.append).begin()  # also not a second one of the same folder
    monkeypatch.setattr(writer_lease, "SECONDS", 15)
    looked_at = download_run(url, tmp_path / "look", report=said.append)
    assert (looked_at.is_over, looked_at.paths.last_checkpoint.read_text()) == (False, "1")
    assert MirrorState.copied_now(first) == url
    assert copying.finish(143) == 143

    # Killed while it is restored, it is restored by the next one.
    copy_out = BlobStore.copy_out

    def killed(self: BlobStore, name: str, target: Path) -> None:
        if name == "run.json":
            raise KeyboardInterrupt
        copy_out(self, name, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BlobStore, "copy_out", killed)
        restore_run(url, tmp_path / "second", report=said.append)
    second = restore_run(url, tmp_path / "second", report=said.append)
    assert [path.name for path in second.root.parent.iterdir()] == ["2026_M"]
    check_copy(manifest_of(folder), second.root)
    check_copy(manifest_of(folder), first.root)  # until the other one goes on
    second.last_checkpoint.write_text("2")
    copying = Mirroring(second, folder, report=said.append)
    copying.begin()
    complete(second)
    assert copying.finish(0) == 0
    assert finish_copy(manifest_of(folder), second, report=said.append) == 0
    assert "complete" not in said[-1]  # it was already
    assert MirrorState.copied_now(second) == ""  # by this process, which goes on

    for refused in (
        lambda: check_copy(manifest_of(folder), first.root),
        lambda: restore_run(url, tmp_path / "first", report=str),
    ):
        with pytest.raises(UsageError, match="was written from another run folder") as error:
            refused()
        assert error.value.hint == f"move this folder away and resume the copy: innereye-run resume {url}"
    with pytest.raises(UsageError, match="is already here, and not a download"):
        download_run(url, tmp_path / "first", report=said.append)
    assert first.last_checkpoint.read_text() == "1"

    again = download_run(url, tmp_path / "look", report=said.append)  # in place of what it had then
    assert (again.is_over, again.exit_code, again.paths.last_checkpoint.read_text()) == (True, 0, "2")
    assert verify(again.paths.root) == ()
    assert (again.paths.root / "latest.txt").is_symlink()
    assert download_run(f"{url}/", tmp_path / "look", report=said.append).files == 0


def test_what_is_here_stays_where_a_copy_cannot_be_fetched(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = run_in(tmp_path / "outputs")
    mirroring = Mirroring(paths, folder, report=str)
    mirroring.begin()
    complete(paths)
    assert mirroring.finish(0) == 0
    url, mine = copy_of(folder, paths), tmp_path / "other" / paths.root.name / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match="is already here, and is not a run folder"):
        restore_run(url, tmp_path / "other", report=str)
    assert mine.read_text() == "mine"

    def full(store: BlobStore, name: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(BlobStore, "copy_out", full)
    for bring in (restore_run, download_run):
        with pytest.raises(OutputError, match="No space left on device"):
            bring(url, tmp_path / "third", report=str)
    assert not any((tmp_path / "third").rglob("*.*"))


def test_a_download_that_lacks_files_says_which_and_keeps_the_others(folder: str, tmp_path: Path) -> None:
    paths = run_in(tmp_path / "outputs")
    copying = Mirroring(paths, folder, report=str)
    copying.begin()
    copying.finish(143)
    url = copy_of(folder, paths)
    BlobStore(mirroring.BlobUrl.parse(url)).blob("checkpoints/last.ckpt").upload_blob(b"damaged", overwrite=True)
    with pytest.raises(OutputError, match=r"missing or damaged: checkpoints/last.ckpt$") as lost:
        download_run(url, tmp_path / "here", report=str)
    assert lost.value.exit_code == 6
    found = RunPaths(tmp_path / "here" / paths.root.name)
    assert lost.value.hint == f"{found.root} has everything else"
    assert RunRecord.read(found).id == "2026_M"
    assert not found.last_checkpoint.exists()


def test_the_folder_of_a_launcher_that_was_killed_is_copied_on_at_once(folder: str, tmp_path: Path) -> None:
    paths, said = run_in(tmp_path / "outputs"), list[str]()
    killed = Mirroring(paths, folder, report=said.append)
    killed.begin()
    killed._mirror._ended.set()
    killed._lease._ended.set()
    gone = {**json.loads(paths.mirror.read_text()), "process": "4194305-1-another boot"}
    paths.mirror.write_text(json.dumps(gone))
    again = Mirroring(paths, folder, report=said.append)
    again.begin()
    complete(paths)
    assert (again.finish(0), said) == (0, [])


def test_a_copy_that_cant_be_finished_is_the_end_of_a_run_that_is_done(
    folder: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = run_in(tmp_path / "outputs")
    store = BlobStore(mirroring.BlobUrl.parse(folder))
    container = store._container()

    def train() -> int:
        complete(paths)
        container.delete_container()
        return 0

    assert wait_with_copy(manifest_of(folder), str(paths.root), train) == 6
    said = capfd.readouterr().err
    assert f"error: the copy in {folder}/2026_M is not complete: " in said
    assert said.endswith(
        f": 404 ContainerNotFound\nhint: the run folder is kept; innereye-run resume {paths.root} finishes the copy\n"
    )
    assert verify(paths.root) == ()
    assert {path.name for path in paths.root.parent.iterdir()} == {"2026_M"}
    container.create_container()
    assert finish_copy(manifest_of(folder), paths, report=print) == 0
    assert capfd.readouterr().out == f"the copy in {folder}/2026_M is complete\n"

    def fail() -> int:
        raise PreflightError("the engine is gone")

    with pytest.raises(PreflightError, match="the engine is gone"):
        wait_with_copy(manifest_of(folder), str(paths.root), fail)
    assert wait_with_copy(manifest_of(""), str(paths.root), lambda: 3) == 3


def test_a_new_run_of_a_name_that_is_taken_is_refused(folder: str, tmp_path: Path) -> None:
    copying = Mirroring(run_in(tmp_path / "one"), folder, report=str)
    copying.begin()
    copying.finish(1)
    with pytest.raises(UsageError, match="was written from another run folder"):
        Mirroring(run_in(tmp_path / "other"), folder, report=str).begin()
    assert {path.name for path in (tmp_path / "other").iterdir()} == {"2026_M"}
    elsewhere = Mirroring(run_in(tmp_path / "third"), f"{folder}/else", report=str)
    elsewhere.begin()
    assert elsewhere.finish(0) == 0


def test_what_is_not_the_copy_of_a_run_is_an_error(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=f"{folder}/none is not the copy of a run"):
        download_run(f"{folder}/none", tmp_path, report=str)
    for text in ("azure://Account/container/run", f"{folder}/run?sig=abc", "azure://account"):
        with pytest.raises(UsageError) as refused:
            restore_run(text, tmp_path, report=str)
        assert "abc" not in str(refused.value)
    paths = run_in(tmp_path / "one")
    copying = Mirroring(paths, folder, report=str)
    copying.begin()
    complete(paths)
    copying.finish(0)
    BlobStore(mirroring.BlobUrl.parse(f"{folder}/2026_M")).blob("checkpoints/last.ckpt").upload_blob(
        b"9", overwrite=True
    )
    with pytest.raises(OutputError, match=r"arrived damaged: checkpoints/last.ckpt is missing"):
        download_run(f"{folder}/2026_M", tmp_path / "two", report=str)
    assert not list((tmp_path / "two").iterdir())
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", "AccountName=tests;AccountKey=aGVyZQ==;BlobEndpoint=http://127.0.0.1:1/tests"
    )
    with pytest.raises(PreflightError, match=f"the output {folder} can't be used"):
        check_copy(manifest_of(folder), None)
