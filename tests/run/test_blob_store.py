"""A run's copy in a real blob store: what is written is verified, and one process at a time writes."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.conftest import azurite, container
from tests.data.store import Azurite, Container

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.errors import OutputError, PreflightError, UsageError
from innereye_runtime.run import blob_store, stager, writer_lease
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.staged_restore import restore
from innereye_runtime.run.staged_store import Index, RefusedByStoreError, StagedFile, StoreError, TakenOverError
from innereye_runtime.run.stager import Stager
from innereye_runtime.run.stager_meter import Meter
from innereye_runtime.run.writer_lease import WriterLease

__all__ = ["azurite", "container"]

ME, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


@pytest.fixture(autouse=True)
def _no_pauses(needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    needs("azure")
    monkeypatch.setattr(stager, "_PAUSE_SECONDS", 0.0)


@pytest.fixture
def url(container: Container) -> BlobUrl:
    return BlobUrl.parse(container.url("runs/2026_Tiny"))


@pytest.fixture
def on_request() -> Iterator[list[Callable[[Any], None]]]:
    """Functions that get each request of the SDK before it is sent."""
    from azure.core.pipeline.transport import RequestsTransport

    called: list[Callable[[Any], None]] = []
    send = RequestsTransport.send

    def sending(self: Any, request: Any, **options: Any) -> Any:
        for each in called:
            each(request)
        return send(self, request, **options)

    RequestsTransport.send = sending  # type: ignore[method-assign]
    yield called
    RequestsTransport.send = send  # type: ignore[method-assign]


def no_bytes(count: int) -> None:
    """Of no interest."""


def test_files_of_one_block_and_of_several_are_what_was_written(
    url: BlobUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_store, "_BLOCK", 1 << 16)
    store, counts = BlobStore(url, writer=ME), list[int]()
    files = {"a.txt": b"a", "empty": b"", "checkpoints/last.ckpt": bytes(range(256)) * 2000, "a space ä+%.txt": b"b"}
    for name, content in files.items():
        (tmp_path / "source").write_bytes(content)
        size, digest = store.write(name, tmp_path / "source", counts.append)
        assert store.fetch(name, StagedFile(size=size, sha256=digest), tmp_path / "fetched")
        assert (tmp_path / "fetched").read_bytes() == content == store.read_bytes(name)
        store.write(name, tmp_path / "source", counts.append)  # over what it wrote itself
    assert sum(counts) == 2 * sum(map(len, files.values()))
    assert sorted(BlobStore(url).names()) == sorted(files)
    with pytest.raises(FileNotFoundError):
        store.read_bytes("none")
    assert not store.fetch("none", StagedFile(size=0, sha256=""), tmp_path / "fetched")


def test_bytes_that_were_changed_on_the_way_are_refused(
    url: BlobUrl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_request: list[Callable[[Any], None]]
) -> None:
    def damage(request: Any) -> None:
        if request.method == "PUT" and isinstance(request.data, bytes) and b"layers" in request.data:
            request.data = request.data.replace(b"layers", b"layerz")

    monkeypatch.setattr(blob_store, "_BLOCK", 1 << 16)
    on_request.append(damage)
    store = BlobStore(url, writer=ME)
    for content in (b"layers", bytes(100_000) + b"layers" + bytes(100_000)):
        (tmp_path / "source").write_bytes(content)
        with pytest.raises(StoreError, match="400 Md5Mismatch"):
            store.write("last.ckpt", tmp_path / "source", no_bytes)
        assert store.names() == []


def test_of_two_writers_one_is_told_and_nothing_that_counts_is_replaced(url: BlobUrl, tmp_path: Path) -> None:
    def stager_of(name: str, writer: str) -> Stager:
        root = tmp_path / name
        (root / "checkpoints").mkdir(parents=True, exist_ok=True)
        (root / "run.json").write_text(name)
        (root / "checkpoints" / "last.ckpt").write_text(name)
        found = Stager(root, BlobStore(url, writer=writer), writer=writer)
        found.attach({})
        return found

    first = stager_of("first", ME)
    first.open()
    first.save()
    second = stager_of("second", OTHER)
    second.open()
    second.save()
    (tmp_path / "first" / "checkpoints" / "last.ckpt").write_text("of the first, later")
    with pytest.raises(OutputError, match="another process writes to"):
        first.finish()
    restored = tmp_path / "restored"
    assert restore(restored, BlobStore(url)).notes == ()
    assert (restored / "checkpoints" / "last.ckpt").read_text() == "second"
    (index, _) = BlobStore(url).indexes()
    assert index.writer == OTHER
    second.finish()


def test_a_writer_that_was_cut_off_and_is_back_does_not_end_the_copy_of_the_next_one(
    url: BlobUrl, tmp_path: Path
) -> None:
    def stager_of(name: str, writer: str) -> Stager:
        root = tmp_path / name
        (root / "checkpoints").mkdir(parents=True)
        (root / "run.json").write_text("{}")
        (root / "checkpoints" / "last.ckpt").write_text("1")
        (root / "outputs.json").write_text(name)
        found = Stager(root, BlobStore(url, writer=writer), writer=writer)
        found.attach({})
        found.open()
        return found

    first = stager_of("first", ME)
    first.save()
    second = stager_of("second", OTHER)  # its first checkpoint is still to come
    (tmp_path / "first" / "checkpoints" / "last.ckpt").write_text("of the first, later")
    for _ in range(2):
        with pytest.raises(TakenOverError, match="another process writes to"):
            first.copy(Meter())
    (tmp_path / "second" / "checkpoints" / "last.ckpt").write_text("2")
    second.save()
    assert restore(tmp_path / "restored", BlobStore(url)).notes == ()
    assert (tmp_path / "restored" / "checkpoints" / "last.ckpt").read_text() == "2"
    second.finish()
    assert BlobStore(url).read_bytes("outputs.json") == b"second"


def test_a_writer_that_was_overtaken_does_not_let_the_copy_look_complete(url: BlobUrl, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    first = Stager(tmp_path, BlobStore(url, writer=ME), writer=ME)
    first.open()
    first.save()
    second = Stager(tmp_path, BlobStore(url, writer=OTHER), writer=OTHER)
    second.attach({})
    second.open()
    (tmp_path / "outputs.json").write_text("{}")  # the first has nothing else to copy
    with pytest.raises(OutputError, match="another process writes to"):
        first.finish()
    assert "outputs.json" not in BlobStore(url).names()


def test_a_blob_that_somebody_removed_is_written_again(url: BlobUrl) -> None:
    store = BlobStore(url, writer=ME)
    store.write_bytes("run.json", b"1")
    store.blob("run.json").delete_blob()
    with pytest.raises(StoreError, match=r"run.json was removed") as lost:
        store.write_bytes("run.json", b"2")
    assert not isinstance(lost.value, RefusedByStoreError)
    store.write_bytes("run.json", b"2")
    assert BlobStore(url).read_bytes("run.json") == b"2"


def test_another_process_of_the_same_folder_is_another_writer(url: BlobUrl) -> None:
    store, other, index = BlobStore(url, writer=ME), BlobStore(url, writer=ME), Index().place
    for name in ("run.json", index):
        store.write_bytes(name, b"1")
    for name in ("run.json", index):
        other.write_bytes(name, b"2")
    for name in ("run.json", index, "run.json"):
        with pytest.raises(TakenOverError, match="another process writes to"):
            store.write_bytes(name, b"3")
        assert BlobStore(url).read_bytes(name) == b"2"


def test_a_name_that_no_url_has_is_an_error_of_the_store(url: BlobUrl, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"1")
    with pytest.raises(StoreError, match=r"caf.*: .*surrogates not allowed"):
        BlobStore(url, writer=ME).write(os.fsdecode(b"caf\xe9"), tmp_path / "source", no_bytes)


def test_an_answer_that_was_lost_is_not_another_writer(url: BlobUrl) -> None:
    store = BlobStore(url, writer=ME)
    store.write_bytes("run.json", b"1")
    before = dict(store._known())
    store.write_bytes("run.json", b"2")
    store._versions = before  # as if this one had not heard of it
    with pytest.raises(StoreError, match=r"run.json is not what this process left") as lost:
        store.write_bytes("run.json", b"3")
    assert not isinstance(lost.value, RefusedByStoreError)
    store.write_bytes("run.json", b"3")
    BlobStore(url, writer=OTHER).write_index(Index())
    with pytest.raises(TakenOverError, match=r"index-0.json is not what this one left"):
        store.write_index(Index())


def test_what_a_store_refuses_is_said_without_its_signature(
    azurite: Azurite, url: BlobUrl, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sas = azurite.sas("rl")
    access = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={sas}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", access)
    store = BlobStore(url, writer=ME)
    store.check()
    with pytest.raises(RefusedByStoreError) as refused:
        store.write_bytes("run.json", b"1")
    assert str(refused.value) == "run.json: 403 AuthorizationPermissionMismatch"
    with pytest.raises(OutputError, match="can't be written: 403"):
        WriterLease(store, report=str).acquire()
    with pytest.raises(PreflightError, match=r"the output azure://tests/missing/runs can't be used: .*404 Container"):
        BlobStore(BlobUrl.parse("azure://tests/missing/runs")).check()
    signature = sas.rpartition("sig=")[2]
    assert signature not in caplog.text

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", access.replace(str(azurite.port), "1"))
    with pytest.raises(PreflightError) as unreachable:
        BlobStore(url).check()
    assert "can't be used" in str(unreachable.value)
    assert signature not in str(unreachable.value) + caplog.text


def test_a_lease_is_of_one_process_and_ends_by_itself(url: BlobUrl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_lease, "SECONDS", 15)  # the shortest that a store knows
    said: list[str] = []

    def lease_of(previous: str = "") -> WriterLease:
        return WriterLease(BlobStore(url), previous=previous, report=said.append)

    first = lease_of()
    first.acquire()
    first._ended.set()  # as where its process is killed: it is not renewed any more, nor released
    killed = lease_of(first.id)
    killed.acquire()  # who knows that the first is gone has it at once
    killed._ended.set()
    assert said == []
    began = time.monotonic()
    other = lease_of(first.id)  # which is over, as somebody took its place
    monkeypatch.setattr(writer_lease, "SECONDS", -4)  # its patience, of one second
    with pytest.raises(UsageError, match="another process writes to azure://tests/"):
        other.acquire()
    monkeypatch.setattr(writer_lease, "SECONDS", 15)
    said.clear()
    other.acquire()
    assert 5 < time.monotonic() - began < 40
    assert said == [f"another process writes to {url}, or was killed less than 15 s ago: waiting"]
    other.release()
    lease_of(killed.id).acquire()
    assert len(said) == 1
