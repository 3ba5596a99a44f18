"""Reading a job's log while the job is started again, against a real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.data.store import Azurite

from innereye_runtime.targets.azureml.blobs import BlobReader
from innereye_runtime.targets.azureml.logs import STARTED_AGAIN, LogReader
from innereye_runtime.targets.azureml.session import Session

LOG = "ExperimentRun/dcid.job/user_logs/std_log.txt"


class Blobs:
    """The part of a session that a log is read through."""

    def __init__(self, reader: BlobReader) -> None:
        self.reader = reader

    def blobs(self, datastore: str) -> BlobReader:
        return self.reader

    def request(self, doing: str, action: Callable[[], Any]) -> Any:
        return action()


@pytest.fixture
def blobs(needs: Callable[..., None], tmp_path: Path) -> Iterator[Any]:
    needs("azure", "azurite")
    from azure.storage.blob import ContainerClient

    store = Azurite(tmp_path)
    store.create("artifacts")
    access = store.environment()["AZURE_STORAGE_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(access, "artifacts") as client:
        yield client, store.reader("artifacts")
    store.stop()


def test_a_log_that_is_begun_anew_between_listing_and_reading_is_read_from_its_start(
    blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, store = blobs
    reader = LogReader(cast(Session, Blobs(store)), "job")
    client.upload_blob(LOG, b"first attempt: epoch 1\n")
    assert list(reader.read()) == [b"first attempt: epoch 1\n"]
    client.upload_blob(LOG, b"second\n", overwrite=True)
    with monkeypatch.context() as stale:
        stale.setattr(reader, "_listed", lambda: [(LOG, 1000)])
        assert b"".join(reader.read()) == b""
    assert list(reader.read()) == [STARTED_AGAIN, b"second\n"]
