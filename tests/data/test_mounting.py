from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.store import Container

from innereye_runtime.data import staging
from innereye_runtime.data.access_mode import ModeDecision, network_file_system, select_mode
from innereye_runtime.data.datasets import preflight, resolve
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.mount import mounting
from innereye_runtime.data.sources.source import FileEntry
from innereye_runtime.data.staging import release
from innereye_runtime.errors import DataError, PreflightError
from innereye_runtime.manifest.model import Dataset

SMALL = {"scans/one.nii": b"one" * 1000, "scans/two.nii": b"two" * 1000, "empty.csv": b""}
MOUNTS = """\
import sys, time
from innereye_runtime.data.datasets import resolve
from innereye_runtime.manifest.model import Dataset
print(resolve([Dataset(id=sys.argv[1], mode="mount", strict=True)])[0].path, flush=True)
if sys.argv[2] == "wait":
    time.sleep(60)
"""


@pytest.fixture
def can_mount(needs: Callable[..., None]) -> None:
    needs("fuse")
    assert mounting.mount_unavailable_reason() == ""


def gone(path: Path) -> bool:
    """Whether it is unmounted within a while."""
    deadline = time.monotonic() + 20
    while os.path.ismount(path) or path.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_mount_has_the_same_files_and_fingerprint(can_mount: None, dataset: Path, container: Container) -> None:
    container.put({f"there/{name}": content for name, content in SMALL.items()})
    (found,) = resolve([Dataset(id=container.url("there"), mode="mount")])
    assert os.path.ismount(found.path)
    assert found.mode == "mount"
    assert found.fingerprint == fingerprint(dataset)
    assert (found.path / "scans" / "two.nii").read_bytes() == SMALL["scans/two.nii"]
    with pytest.raises(OSError, match="Read-only"):
        (found.path / "new").write_text("new")
    release()
    assert not found.path.exists()
    assert list(found.path.parent.parent.iterdir()) == []


def test_the_second_mount_knows_its_fingerprint(
    can_mount: None, container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    container.put(SMALL)
    first = resolve([Dataset(id=container.url(), mode="mount")])[0].fingerprint
    monkeypatch.setattr(staging, "fingerprint", lambda *args, **named: pytest.fail("the files were read again"))
    assert resolve([Dataset(id=container.url(), mode="mount")])[0].fingerprint == first


@pytest.mark.parametrize("end", ["exit", "SIGINT", "SIGTERM", "SIGKILL"])
def test_it_is_unmounted_however_the_process_ends(can_mount: None, container: Container, end: str) -> None:
    container.put(SMALL)
    command = [sys.executable, "-c", MOUNTS, container.url(), "go" if end == "exit" else "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        if end != "exit":
            assert os.path.ismount(path)
            process.send_signal(getattr(signal, end))
        process.wait(30)
    assert gone(path)


def test_no_secret_is_among_the_arguments(can_mount: None, container: Container) -> None:
    container.put(SMALL)
    resolve([Dataset(id=container.url(), mode="mount")])
    key = os.environ["AZURE_STORAGE_CONNECTION_STRING"].split("AccountKey=")[1].split(";")[0]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert key.encode() not in process.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue


@pytest.fixture
def no_mount(monkeypatch: pytest.MonkeyPatch) -> str:
    reason = "there is no /dev/fuse that this process may open"
    for module in (mounting, staging):
        monkeypatch.setattr(module, "mount_unavailable_reason", lambda for_others=False: reason)
    return reason


def test_what_cannot_be_mounted_is_downloaded_and_that_is_said(
    container: Container, no_mount: str, caplog: pytest.LogCaptureFixture
) -> None:
    container.put(SMALL)
    (found,) = resolve([Dataset(id=container.url(), mode="mount")])
    assert found.mode == "download"
    assert found.reason == f"the manifest requests a mount, which is not available: {no_mount}"
    assert f"{container.url()} can't be mounted: {no_mount}; it is downloaded" in caplog.text


def test_but_never_where_the_manifest_is_strict(container: Container, no_mount: str) -> None:
    container.put(SMALL)
    for look in (preflight, resolve):
        with pytest.raises(DataError, match=f"dataset: {container.url()} can't be mounted: {no_mount}") as raised:
            look([Dataset(id=container.url(), mode="mount", strict=True)])
        assert raised.value.exit_code == 5


def test_a_mount_that_fails_is_downloaded_unless_strict(
    container: Container, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    container.put(SMALL)
    for module in (mounting, staging):
        monkeypatch.setattr(module, "mount_unavailable_reason", lambda for_others=False: "")
    monkeypatch.setattr(mounting, "rclone", lambda: "/bin/false")
    (found,) = resolve([Dataset(id=container.url(), mode="mount")])
    assert found.mode == "download"
    assert "rclone printed nothing" in found.reason
    with pytest.raises(DataError, match="can't be mounted: rclone printed nothing"):
        resolve([Dataset(id=container.url(), mode="mount", strict=True)])
    assert "it is downloaded" in caplog.text


@pytest.mark.parametrize("folder", ["mounts", "fingerprints"])
def test_a_cache_folder_that_cannot_be_written_is_no_traceback(
    can_mount: None, cache_home: Path, container: Container, folder: str
) -> None:
    container.put(SMALL)
    cache_home.mkdir(parents=True)
    (cache_home / folder).touch()
    (found,) = resolve([Dataset(id=container.url(), mode="mount")])
    assert found.mode == ("download" if folder == "mounts" else "mount")
    if folder == "mounts":
        assert f"{cache_home / folder} can't be written: File exists" in found.reason


def test_preflight_looks_at_the_room_and_fetches_nothing(
    container: Container, monkeypatch: pytest.MonkeyPatch, cache_home: Path
) -> None:
    container.put(SMALL)
    assert preflight([Dataset(id=container.url(), mode="download")]) == (None,)
    assert not cache_home.exists()
    monkeypatch.setenv("INNEREYE_CACHE_LIMIT", "1k")
    with pytest.raises(PreflightError, match=r"may hold 1\.02 kB"):
        preflight([Dataset(id=container.url(), mode="download")])


ITEMS = [FileEntry(f"{number}", 1_000_000, "1") for number in range(100)]
SAID = "100 files, 100 MB"


@pytest.mark.parametrize(
    ("asked", "free_space", "cached", "no_mount", "expected"),
    [
        ("mount", 10**9, False, "", ModeDecision("mount", "requested by the manifest")),
        ("mount", 10**9, False, "no FUSE", None),
        ("download", 0, False, "", ModeDecision("download", "requested by the manifest")),
        ("auto", 0, True, "", ModeDecision("download", f"{SAID}: the cache has them already")),
        (
            "auto",
            10**9,
            False,
            "",
            ModeDecision(
                "download", f"{SAID}: they fit the cache, and each epoch after the first reads them at disk speed"
            ),
        ),
        ("auto", 10**7, False, "", ModeDecision("mount", f"{SAID}: too many for the cache, which has room for 10 MB")),
        (
            "auto",
            10**7,
            False,
            "no FUSE",
            ModeDecision("download", f"{SAID}: too many for the cache (10 MB), and they can't be mounted: no FUSE"),
        ),
    ],
)
def test_the_mode_and_why(
    asked: str, free_space: int, cached: bool, no_mount: str, expected: ModeDecision | None
) -> None:
    assert select_mode(asked, ITEMS, free_space=free_space, cached=cached, no_mount=no_mount) == expected


def test_a_disk_of_this_machine_is_no_network(tmp_path: Path) -> None:
    assert network_file_system(tmp_path) == ""


def test_a_mounted_folder_is_one_that_machines_share(can_mount: None, container: Container) -> None:
    container.put(SMALL)
    (found,) = resolve([Dataset(id=container.url(), mode="mount")])
    assert network_file_system(found.path / "scans") == "fuse.rclone"


def test_a_folder_that_machines_share_is_copied_where_the_mode_is_download(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(staging, "network_file_system", lambda path: "nfs4")
    (found,) = resolve([Dataset(local=dataset, mode="download")])
    assert found.path != dataset
    assert found.mode == "download"
    assert found.reason == "requested by the manifest, and the folder is on a shared file system (nfs4)"
    assert found.fingerprint == fingerprint(dataset)
    (in_place,) = resolve([Dataset(local=dataset, mode="mount")])
    assert in_place.path == dataset
