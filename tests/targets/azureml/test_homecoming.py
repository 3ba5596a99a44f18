"""What goes to a datastore and comes back, against a real store: whole, or an error that names the files."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.data.store import Azurite

from innereye_runtime.data.outputs import verify, write_outputs
from innereye_runtime.errors import ExitCode, OutputError
from innereye_runtime.job.paths import RunPaths
from innereye_runtime.job.record import RunRecord
from innereye_runtime.targets.azureml.homecoming import Place, bring_home, send_out
from innereye_runtime.targets.azureml.outcome import exit_code_of
from innereye_runtime.targets.azureml.session import Session

PLACE = Place(datastore="store", path="runs/one")


class Blobs:
    """The part of a session that knows one datastore."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def container(self, datastore: str) -> Any:
        assert datastore == PLACE.datastore
        return self.client

    def ask(self, doing: str, action: Callable[[Any], Any]) -> Any:
        return action(None)


@pytest.fixture
def session(needs: Callable[..., None], tmp_path: Path) -> Iterator[Session]:
    needs("azure", "azurite")
    from azure.storage.blob import ContainerClient

    store = Azurite(tmp_path)
    store.create("runs")
    access = store.environment()["AZURE_STORAGE_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(access, "runs") as client:
        yield cast(Session, Blobs(client))
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
    send_out(session, run, PLACE)
    assert bring_home(session, PLACE, tmp_path / "home") == 3
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
    send_out(session, run, PLACE)
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
    send_out(session, run, PLACE)
    client, name = session.container(PLACE.datastore), f"{PLACE.path}/checkpoints/best.ckpt"
    match damage:
        case "missing":
            client.delete_blob(name)
        case "cut":
            client.upload_blob(name, b"weights" * 100, overwrite=True)
        case "other":
            client.upload_blob(name, b"WEIGHTS" * 1000, overwrite=True)
    with pytest.raises(OutputError, match=says) as raised:
        bring_home(session, PLACE, tmp_path / "home")
    assert raised.value.exit_code == 6
    assert not (tmp_path / "home" / "outputs.json").exists()


def test_a_complete_job_without_its_list_of_files_is_not_complete(session: Session, run: Path, tmp_path: Path) -> None:
    send_out(session, run, PLACE)
    session.container(PLACE.datastore).delete_blob(f"{PLACE.path}/outputs.json")
    bring_home(session, PLACE, tmp_path / "home")
    with pytest.raises(OutputError, match=r"has no outputs\.json"):
        exit_code_of("Completed", tmp_path / "home")
    assert exit_code_of("Canceled", tmp_path / "home") == ExitCode.STOPPED
