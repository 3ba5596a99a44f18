"""What goes to a datastore and comes back, against a real store: whole, or an error that names the files."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.data.store import Azurite

from innereye_runtime.errors import ExitCode, OutputError, PreflightError, UsageError
from innereye_runtime.run.output_manifest import verify, write_outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.run.staged_store import INDEXES, Index, StagedFile
from innereye_runtime.targets.azureml import runs, transfer
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.blobs import BlobReader
from innereye_runtime.targets.azureml.exit_code import exit_code_of
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.restarting import set_checkpoints_aside
from innereye_runtime.targets.azureml.service_error import ServiceError
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.starting import _new_folder
from innereye_runtime.targets.azureml.tags import RUN_TAG
from innereye_runtime.targets.azureml.transfer import download_run, read_indexes, upload_run
from innereye_runtime.targets.azureml.workspace_api import ServiceJob, WorkspaceApi

ADDRESS = JobUri(subscription_id="subscription", resource_group="group", workspace="workspace", job="job")
PLACE = BlobPrefix(datastore="store", path="runs/one")


class Blobs:
    """The part of a session that knows one datastore."""

    def __init__(self, client: Any, reader: BlobReader) -> None:
        self.client = client
        self.reader = reader

    def container(self, datastore: str) -> Any:
        assert datastore == PLACE.datastore
        return self.client

    def blobs(self, datastore: str) -> BlobReader:
        assert datastore == PLACE.datastore
        return self.reader

    def request(self, doing: str, action: Callable[[], Any]) -> Any:
        from azure.core.exceptions import HttpResponseError

        try:
            return action()
        except (HttpResponseError, ServiceError) as error:
            raise PreflightError(doing) from error


@pytest.fixture
def session(needs: Callable[..., None], tmp_path: Path) -> Iterator[Session]:
    needs("azure", "azurite")
    from azure.storage.blob import ContainerClient

    store = Azurite(tmp_path)
    store.create("runs")
    access = store.environment()["AZURE_STORAGE_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(access, "runs") as client:
        yield cast(Session, Blobs(client, store.reader("runs")))
    store.stop()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    (root / "checkpoints").mkdir(parents=True)
    (root / "checkpoints" / "best.ckpt").write_bytes(b"weights" * 1000)
    record = RunRecord(id="run", model="Model", target="azureml")
    record.begin_attempt("host")
    record.end_attempt("completed", 0, "")
    record.write(RunPaths(root))
    write_outputs(root)
    return root


def test_what_was_sent_comes_home_as_it_was(session: Session, run: Path, tmp_path: Path) -> None:
    upload_run(session, run, PLACE)
    assert download_run(session, PLACE, tmp_path / "home") == 3
    assert verify(tmp_path / "home") == ()
    assert exit_code_of("Completed", tmp_path / "home") == ExitCode.DONE


def test_the_store_checks_each_file_that_is_sent(session: Session, run: Path, tmp_path: Path) -> None:
    told: list[str] = []
    client = session.container(PLACE.datastore)
    upload = client.upload_blob

    def watch(name: str, data: Any, **options: Any) -> Any:
        def hook(request: Any) -> None:
            told.append(request.http_request.headers["Content-MD5"])

        return upload(name, data, raw_request_hook=hook, **options)

    client.upload_blob = watch  # type: ignore[method-assign,assignment]
    upload_run(session, run, PLACE)
    contents = [path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()]
    assert told == [base64.b64encode(hashlib.md5(content).digest()).decode() for content in contents]


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("missing", "checkpoints/best.ckpt is missing"),
        ("cut", "checkpoints/best.ckpt has 700 bytes and had 7,000"),
        ("other", "checkpoints/best.ckpt has another content"),
    ],
)
def test_a_result_that_did_not_arrive_whole_names_the_file(
    damage: str, says: str, session: Session, run: Path, tmp_path: Path
) -> None:
    upload_run(session, run, PLACE)
    client, name = session.container(PLACE.datastore), f"{PLACE.path}/checkpoints/best.ckpt"
    match damage:
        case "missing":
            client.delete_blob(name)
        case "cut":
            client.upload_blob(name, b"weights" * 100, overwrite=True)
        case "other":
            client.upload_blob(name, b"WEIGHTS" * 1000, overwrite=True)
    with pytest.raises(OutputError, match=says) as raised:
        download_run(session, PLACE, tmp_path / "home")
    assert raised.value.exit_code == 6
    assert not (tmp_path / "home" / "outputs.json").exists()


def test_a_complete_job_without_its_list_of_files_is_not_complete(session: Session, run: Path, tmp_path: Path) -> None:
    upload_run(session, run, PLACE)
    session.container(PLACE.datastore).delete_blob(f"{PLACE.path}/outputs.json")
    download_run(session, PLACE, tmp_path / "home")
    with pytest.raises(OutputError, match=r"has no outputs\.json"):
        exit_code_of("Completed", tmp_path / "home")
    assert exit_code_of("Canceled", tmp_path / "home") == ExitCode.STOPPED


def test_what_is_in_the_way_is_named(session: Session, run: Path, tmp_path: Path) -> None:
    upload_run(session, run, PLACE)
    for name, is_folder in (("run.json", True), ("checkpoints", False)):
        home = tmp_path / f"home with {name}"
        home.mkdir()
        (home / name).mkdir() if is_folder else (home / name).touch()
        with pytest.raises(UsageError, match=re.escape(str(home / name))) as raised:
            download_run(session, PLACE, home)
        assert "--to" in raised.value.hint
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file/home"):
        download_run(session, PLACE, tmp_path / "file" / "home")


def test_a_disk_that_fills_on_the_way_home_is_told_and_what_came_stays(
    session: Session, run: Path, small_disk: Callable[[str], Path]
) -> None:
    (run / "large").write_bytes(bytes(1 << 20))
    write_outputs(run)
    upload_run(session, run, PLACE)
    home = small_disk("256k") / "home"
    with pytest.raises(PreflightError, match="disk full"):
        download_run(session, PLACE, home)
    came = {path.relative_to(home): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert came, "the first one had room"
    assert {*map(str, came)} <= {"checkpoints/best.ckpt", "run.json"}, "several are fetched at a time"
    assert came == {name: (run / name).read_bytes() for name in came}


def test_two_who_bring_one_folder_home_take_turns(
    session: Session, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_run(session, run, PLACE)
    steps: list[str] = []
    listed, verified = transfer._list, transfer.verify

    def slow_list(*words: Any) -> Any:
        steps.append("begins")
        time.sleep(0.3)
        return listed(*words)

    def noted_verify(folder: Path) -> Any:
        steps.append("ends")
        return verified(folder)

    monkeypatch.setattr(transfer, "_list", slow_list)
    monkeypatch.setattr(transfer, "verify", noted_verify)
    with ThreadPoolExecutor(2) as pool:
        brought = list(pool.map(lambda _: download_run(session, PLACE, tmp_path / "home"), range(2)))
    assert brought == [3, 3]
    assert steps == ["begins", "ends"] * 2


@pytest.mark.parametrize("is_staged", [True, False], ids=["staged", "uploaded"])
def test_checkpoints_of_the_store_are_set_aside(is_staged: bool, session: Session, run: Path, tmp_path: Path) -> None:
    """As `resume --restart` sets aside those of the run folder here: no attempt finds one, and none is lost."""
    container, content = session.container(PLACE.datastore), (run / "checkpoints" / "best.ckpt").read_bytes()
    upload_run(session, run, PLACE)
    if is_staged:
        staged = StagedFile(size=len(content), sha256=hashlib.sha256(content).hexdigest(), slot=1)
        container.upload_blob(f"{PLACE.path}/{staged.place('checkpoints/best.ckpt')}", content)
        container.upload_blob(f"{PLACE.path}/checkpoints/best.ckpt", b"an older one", overwrite=True)
        for sequence in (4, 5):
            index = Index(sequence=sequence, files={"checkpoints/best.ckpt": staged})
            container.upload_blob(f"{PLACE.path}/{index.place}", index.to_bytes())
    for number in (1, 2):
        aside = run / "checkpoints" / ("aside" if number == 1 else "aside-2")
        aside.mkdir()
        set_checkpoints_aside(session, PLACE, run)
        if number == 1 and is_staged:
            indexes = read_indexes(session, PLACE, INDEXES)
            assert [index.sequence for index in indexes] == [7, 6]
            assert [list(index.files) for index in indexes] == [["checkpoints/aside/best.ckpt"]] * 2
            index = Index(sequence=8, files={"checkpoints/best.ckpt": staged})
            container.upload_blob(f"{PLACE.path}/{index.place}", index.to_bytes(), overwrite=True)
        elif number == 1:
            container.upload_blob(f"{PLACE.path}/checkpoints/best.ckpt", content)
        there = container.download_blob(f"{PLACE.path}/checkpoints/{aside.name}/best.ckpt").readall()
        assert there == content
    if not is_staged:
        names = [name.removeprefix(f"{PLACE.path}/checkpoints/") for name in container.list_blob_names()]
        assert [name for name in names if name.endswith("best.ckpt")] == ["aside-2/best.ckpt", "aside/best.ckpt"]


def test_runs_that_two_machines_start_in_one_second_have_places_of_their_own(session: Session, tmp_path: Path) -> None:
    now = datetime(2026, 11, 24, 10, 15, 30, tzinfo=UTC)
    names = []
    for machine in ("one", "two", "three"):
        plan: Any = SimpleNamespace(
            outputs_folder=tmp_path / machine, model_name="Tiny", datastore=PLACE.datastore, location="runs/trials"
        )
        folder = _new_folder(session, plan, now)
        assert list((tmp_path / machine).iterdir()) == [folder]
        names.append(folder.name)
    assert names == [f"2026-11-24T101530Z_Tiny{end}" for end in ("", "_2", "_3")]


@pytest.mark.parametrize("kind", ["AzureFile", "AzureDataLakeGen2"])
def test_a_datastore_of_another_kind_is_told(
    kind: str, needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("azure")
    described = {"properties": {"datastoreType": kind, "accountName": "store"}}
    monkeypatch.setattr(WorkspaceApi, "_ask", lambda self, verb, path: described)
    with pytest.raises(PreflightError, match=r"^datastore files is not a blob datastore, which the run folder needs$"):
        Session("subscription", "group", "workspace").container("files")


@pytest.mark.parametrize(
    "described",
    [
        {"accountName": "store", "endpoint": "example.com"},
        {"accountName": "store", "protocol": "http"},
        {"accountName": "example.com/"},
    ],
)
def test_a_login_is_not_sent_to_a_datastore_outside_of_azure(
    described: dict[str, str], needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    needs("azure")
    properties = {"datastoreType": "AzureBlob", "containerName": "data", **described}
    monkeypatch.setattr(WorkspaceApi, "_ask", lambda self, verb, path: {"properties": properties})
    session = Session("subscription", "group", "workspace")
    for opened in (session.blobs, session.container):
        with pytest.raises(PreflightError, match=r"is not in Azure: your login is not sent there$"):
            opened("theirs")


@pytest.mark.parametrize("name", ["/root/.ssh", "../../x", "..", "", "a\\b"])
def test_a_tag_that_is_a_path_names_no_folder(name: str, needs: Callable[..., None]) -> None:
    needs("azure")
    job = ServiceJob.of({"name": "job", "properties": {"tags": {RUN_TAG: name}, "outputs": {"run": {"uri": None}}}})
    session: Any = SimpleNamespace(job=lambda _: job)
    with pytest.raises(OutputError, match="is not the name of a folder"):
        runs.download(session, ADDRESS, Path("outputs"))
    with pytest.raises(OutputError, match="is not the name of a folder"):
        runs.exit_code_in_store(session, ADDRESS, "Completed")
