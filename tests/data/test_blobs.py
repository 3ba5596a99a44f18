from __future__ import annotations

import logging
import os
import re
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.data.store import ACCOUNT, VERSION, Azurite, Container

from innereye_runtime.data.datasets import check_unchanged, preflight, resolve
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.sources.blobs import BlobSource, BlobUrl, RetryPolicy
from innereye_runtime.data.sources.source import FileEntry, SourceChangedError, validate_listing
from innereye_runtime.errors import DataError, InnerEyeError, PreflightError
from innereye_runtime.manifest.model import Dataset

SMALL = {"scans/one.nii": b"one" * 1000, "scans/two.nii": b"two" * 1000, "empty.csv": b""}


def blobs(container: Container, path: str = "") -> BlobSource:
    return BlobSource(BlobUrl.parse(container.url(path)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("azure://account/container", ("account", "container", "")),
        ("azure://account/container/", ("account", "container", "")),
        ("azure://account/container/a/b/", ("account", "container", "a/b")),
        ("azure://account/$root/a b", ("account", "$root", "a b")),
    ],
)
def test_a_url_has_three_parts(text: str, parts: tuple[str, str, str]) -> None:
    url = BlobUrl.parse(text)
    assert (url.account, url.container, url.path) == parts
    assert BlobUrl.parse(str(url)) == url


@pytest.mark.parametrize(
    "text", ["azure://", "azure://account", "azure://Account/c0ntainer", "https://account/container"]
)
def test_what_is_no_url_is_an_error(text: str) -> None:
    with pytest.raises(DataError, match="names no folder of blobs") as raised:
        BlobUrl.parse(text)
    assert "azure://ACCOUNT/CONTAINER/PATH" in raised.value.hint


def test_the_same_files_have_the_same_fingerprint(dataset: Path, container: Container) -> None:
    container.put({f"there/{name}": content for name, content in SMALL.items()})
    (found,) = resolve([Dataset(id=container.url("there"), mode="download")])
    assert found.fingerprint == fingerprint(dataset)
    assert {
        str(path.relative_to(found.path)): path.read_bytes() for path in found.path.rglob("*") if path.is_file()
    } == SMALL
    described = found.describe()
    assert described["mode"] == "download"
    assert described["source"] == container.url("there")
    assert described["reason"] == "requested by the manifest"
    assert described["mb_per_s"] > 0


def test_the_second_time_comes_from_the_cache(container: Container) -> None:
    container.put(SMALL)
    first, second = (resolve([Dataset(id=container.url(), mode="auto")])[0] for _ in range(2))
    assert first.seconds > 0
    assert second.seconds == 0
    assert second.path == first.path
    assert second.reason == "3 files, 6 kB: the cache has them already"


def test_large_files_come_in_blocks(container: Container, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    content = os.urandom((16 << 20) + 1)
    (tmp_path / "large" / "large.raw").write_bytes(content)
    container.put({"large.raw": content})
    (found,) = resolve([Dataset(id=container.url(), mode="download")])
    assert (found.path / "large.raw").read_bytes() == content
    assert found.fingerprint == fingerprint(tmp_path / "large")


def test_what_is_in_the_cache_is_read_only(container: Container) -> None:
    container.put({"small": b"small", "large": bytes(9 << 20)})
    (found,) = resolve([Dataset(id=container.url(), mode="download")])
    assert {path.stat().st_mode & 0o777 for path in found.path.iterdir()} == {0o444}


def test_a_folder_is_a_whole_name(container: Container) -> None:
    container.put({"brats/a": b"1", "brats2/b": b"2"})
    assert [item.name for item in blobs(container, "brats").list()] == ["a"]


def test_markers_of_folders_are_no_files(container: Container) -> None:
    container.put({"scans": b"", "scans/a": b"1"})
    assert [item.name for item in blobs(container).list()] == ["scans/a"]


def test_more_blobs_than_a_page_has_are_all_listed(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("innereye_runtime.data.sources.blobs._PAGE", 7)
    container.put({f"{number:02}": b"" for number in range(30)})
    assert len(blobs(container).list()) == 30


HOSTILE = [
    "sp ace",
    "plus+",
    "percent%2e%2e",
    "q?#&=",
    "\u00e9",
    "e\u0301",
    "~",
    "'\"",
    "a:b",
    "\U0001f9e0" * 60,
    "x" * 255,
    "...",
]


def test_hostile_names_come_as_they_are(container: Container, tmp_path: Path) -> None:
    files = {f"folder {name[:9]}/{name}": ascii(name).encode() for name in HOSTILE}
    container.put(files)
    (found,) = resolve([Dataset(id=container.url(), mode="download")])
    there = {str(path.relative_to(found.path)): path.read_bytes() for path in found.path.rglob("*") if path.is_file()}
    assert there == files


@pytest.mark.parametrize(
    "name",
    ["..%2Fevil", "..", "a%2F..%2F..%2F..%2Fevil", "dot%2F.%2Fx", "%2Fabsolute", "a%2F%2Fb", "new%0Aline", "tab%09"],
)
def test_a_name_that_leads_elsewhere_is_an_error_and_nothing_is_written(
    azurite: Azurite, container: Container, cache_home: Path, name: str
) -> None:
    container.put({"there/fine": b"1"})
    headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": VERSION}
    path = f"/{ACCOUNT}/{container.name}/there/{name}?{azurite.sas('rcwl')}"
    with closing(HTTPConnection("127.0.0.1", azurite.port)) as connection:  # it sends the name as it is
        connection.request("PUT", path, body=b"evil", headers=headers)
        assert connection.getresponse().status == 201
    with pytest.raises(DataError, match="whose name can't be a file") as raised:
        resolve([Dataset(id=container.url("there"), mode="download")])
    assert str(raised.value).startswith(f"dataset: {container.url('there')} holds a blob")
    assert str(raised.value).isprintable()
    assert not cache_home.exists()


@pytest.mark.parametrize("name", ["..", "../evil", "/absolute", "a/../../b", "a//b", "./a", "a/", "nul\0", "x" * 256])
def test_nor_does_any_source_get_by_with_one(name: str) -> None:
    fine = FileEntry("fine", 1, "1")
    with pytest.raises(DataError, match="which can't be a file"):
        validate_listing([fine, FileEntry(name, 1, "1")], "azure://account/container")
    assert validate_listing([fine, FileEntry("back\\slash", 1, "1")], "")[0].name == "back\\slash"


def test_200_000_names_are_looked_at() -> None:
    items = [FileEntry(f"{number % 200}/{number}", 1, "1") for number in range(200_000)]
    assert len(validate_listing(items, "")) == 200_000
    with pytest.raises(DataError, match="other names use it as a folder"):
        validate_listing([*items, FileEntry("199", 1, "1")], "azure://account/container")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a/" + "x" * 256: b"1"}, "a part of it is longer than 255 bytes"),
        ({"a": b"file", "a/b": b"1"}, "other names use it as a folder"),
    ],
)
def test_a_name_that_cannot_be_a_file_is_an_error(container: Container, files: dict[str, bytes], message: str) -> None:
    container.put(files)
    with pytest.raises(DataError, match=message) as raised:
        resolve([Dataset(id=container.url(), mode="download")])
    assert str(raised.value).startswith(f"dataset: {container.url()}")


def test_what_is_not_there_is_named(container: Container) -> None:
    container.put(SMALL)
    with pytest.raises(DataError, match=r"there are no blobs below azure://tests/.*/Scans"):
        preflight([Dataset(id=container.url("Scans"))])
    with pytest.raises(DataError, match=r"there is no azure://tests/nowhere: 404 Not Found \(ContainerNotFound\)"):
        preflight([Dataset(id="azure://tests/nowhere/data", mode="download")])


def test_an_id_below_the_datastore(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container.put({f"datasets/hello/{name}": content for name, content in SMALL.items()})
    monkeypatch.setenv("INNEREYE_DATASTORE", container.url("datasets/"))
    (found,) = resolve([Dataset(id="hello", mode="download")])
    assert found.source == container.url("datasets/hello")
    assert found.fingerprint.files == 3


def test_a_local_copy_is_used_and_no_store_is_asked(dataset: Path) -> None:
    (found,) = resolve([Dataset(id="azure://tests/nowhere/data", local=dataset, mode="download")])
    assert found.path == dataset


def test_a_sas_opens_the_store(azurite: Azurite, container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container.put(SMALL)
    settings = f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={azurite.sas('rl')}"
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", settings)
    assert resolve([Dataset(id=container.url(), mode="download")])[0].fingerprint.files == 3


@pytest.mark.parametrize(("permissions", "hours"), [("r", 1), ("rl", -1)])
def test_a_sas_that_opens_nothing_is_named_and_not_shown(
    azurite: Azurite, container: Container, monkeypatch: pytest.MonkeyPatch, permissions: str, hours: int
) -> None:
    container.put(SMALL)
    sas = azurite.sas(permissions, ends=timedelta(hours=hours))
    monkeypatch.setenv(
        "AZURE_STORAGE_CONNECTION_STRING", f"BlobEndpoint={azurite.endpoint};SharedAccessSignature={sas}"
    )
    with pytest.raises(DataError, match=r"the store refuses a SAS token: 403 \w+") as raised:
        resolve([Dataset(id=container.url(), mode="download")])
    assert "sig" not in str(raised.value)
    assert "list and read" in raised.value.hint


def test_without_a_credential_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "azure.identity", None)
    with pytest.raises(PreflightError, match="need a credential") as raised:
        resolve([Dataset(id="azure://tests/container/data", mode="download")])
    assert "AZURE_STORAGE_SAS_TOKEN" in raised.value.hint
    assert raised.value.exit_code == 3


def test_where_nobody_is_signed_in_it_says_so_in_a_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from azure import identity
    from azure.core.exceptions import ClientAuthenticationError

    class Nobody:
        def get_token(self, scope: str) -> None:
            logging.getLogger("azure.identity._chain").warning("a page about ways to sign in")
            raise ClientAuthenticationError("a page about ways to sign in")

    monkeypatch.setattr(identity, "DefaultAzureCredential", Nobody)
    with pytest.raises(
        PreflightError, match=r"need a credential: the environment has none, and you are not logged in to Azure$"
    ):
        resolve([Dataset(id="azure://tests/container/data", mode="download")])
    assert caplog.text == ""


def test_no_secret_is_in_a_repr(azurite: Azurite, container: Container) -> None:
    assert azurite.key not in repr(blobs(container).access)


def test_a_read_is_of_the_version_that_was_listed(container: Container) -> None:
    container.put(SMALL)
    source = blobs(container)
    one, two = (item for item in source.list() if item.size)
    container.put({one.name: b"new" * 1000})
    container.delete(two.name)
    for item in (one, two):
        with pytest.raises(SourceChangedError):
            source.read(item, 0, item.size)


def test_a_store_that_is_not_there_is_an_error_within_bounds(azurite: Azurite) -> None:
    from innereye_runtime.data.sources.credentials import Access

    nobody = Access(account="tests", endpoint="http://127.0.0.1:9/tests", key=azurite.key)
    patience = RetryPolicy(silent=0.5, longest=1, total=1, tries=3, pause=0.01)
    with pytest.raises(DataError, match=r"can't be read, after 3 tries"):
        BlobSource(BlobUrl.parse("azure://tests/container"), reached=nobody, patience=patience).list()


def test_a_dataset_that_changed_under_a_resumed_run_stops_it(container: Container) -> None:
    container.put(SMALL)
    wanted = [Dataset(id=container.url(), mode="download")]
    before = [found.describe() for found in resolve(wanted)]
    check_unchanged(resolve(wanted), before)
    container.put({"empty.csv": b"not any more"})
    with pytest.raises(DataError, match="changed since the last attempt of this run") as raised:
        check_unchanged(resolve(wanted), before)
    assert re.search(r"was [0-9a-f]{64} \(3 files, 6,000 bytes\)", str(raised.value))
    assert raised.value.exit_code == 5


def test_every_exception_of_obstore_is_mapped() -> None:
    """A new one in a new version has to be looked at."""
    from obstore import exceptions

    known = {
        "AlreadyExistsError",
        "BaseError",
        "GenericError",
        "InvalidPathError",
        "JoinError",
        "NotFoundError",
        "NotModifiedError",
        "NotSupportedError",
        "PermissionDeniedError",
        "PreconditionError",
        "UnauthenticatedError",
        "UnknownConfigurationKeyError",
    }
    there = {name for name, value in vars(exceptions).items() if isinstance(value, type)}
    assert there == known
    assert all(issubclass(getattr(exceptions, name), exceptions.BaseError) for name in known)
    assert not issubclass(exceptions.BaseError, InnerEyeError)
