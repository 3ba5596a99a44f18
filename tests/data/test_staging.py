"""What a launcher brings for a container, and what the running side, another process, makes of it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.data.store import Container

from innereye_runtime.data import staging
from innereye_runtime.data.cache.cache import Cache
from innereye_runtime.data.datasets import ResolvedDataset, resolve, stage_datasets
from innereye_runtime.data.mount import mounting
from innereye_runtime.data.staging import StagedDataset
from innereye_runtime.errors import DataError
from innereye_runtime.manifest.model import Dataset

SMALL = {"scans/one.nii": b"one" * 1000, "scans/two.nii": b"two" * 1000, "empty.csv": b""}


def found_again(wanted: Sequence[Dataset], staged: Sequence[StagedDataset]) -> tuple[ResolvedDataset, ...]:
    """What the running side finds of what was brought, after it was handed over as text."""
    text = json.dumps([one.to_data() for one in staged])
    told = [StagedDataset.from_data(data) for data in json.loads(text)]
    return resolve(wanted, [one.path for one in told], staged=told)


def without_times(described: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in described.items() if key not in ("seconds", "mb_per_s")}


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """Turns this process into one that has no cache and may read no file: a container at its start."""

    def turn() -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "the container's"))
        monkeypatch.setattr(staging, "fingerprint", lambda *args, **named: pytest.fail("the files were read again"))

    return turn


def test_the_record_says_the_same_as_without_a_launcher(dataset: Path, container: Container) -> None:
    container.put(SMALL)
    wanted = [Dataset(local=dataset), Dataset(id=container.url(), mode="download")]
    with stage_datasets(wanted) as staged:
        found = [one.describe() for one in found_again(wanted, staged)]
    assert [without_times(one) for one in found] == [without_times(one.describe()) for one in resolve(wanted)]
    assert found[1]["mb_per_s"] > 0
    assert found[1]["source"] == container.url()


@pytest.mark.parametrize("mode", ["mount", "download"])
def test_nothing_is_read_a_second_time(
    mode: str, needs: Callable[..., None], container: Container, blind: Callable[[], None]
) -> None:
    if mode == "mount":
        needs("fuse")
    container.put(SMALL)
    wanted = [Dataset(id=container.url(), mode=mode, strict=mode == "mount")]  # type: ignore[arg-type]
    with stage_datasets(wanted) as staged:
        blind()
        (found,) = found_again(wanted, staged)
    assert (found.mode, found.fingerprint) == (mode, staged[0].fingerprint)


def test_nor_is_a_folder(dataset: Path, blind: Callable[[], None]) -> None:
    settle(dataset)
    with stage_datasets([Dataset(local=dataset)]) as staged:
        blind()
        assert found_again([Dataset(local=dataset)], staged)[0].fingerprint == staged[0].fingerprint


def settle(folder: Path) -> None:
    """Waits until a change of the files can't carry the time stamp that they have."""
    newest = max(path.stat().st_ctime for path in folder.rglob("*"))
    time.sleep(max(0.0, newest + 0.2 - time.time()))


def test_a_changed_time_is_looked_into_and_a_changed_file_is_an_error(dataset: Path) -> None:
    settle(dataset)
    with stage_datasets([Dataset(local=dataset)]) as staged:
        os.utime(dataset / "empty.csv", (1, 1))
        assert found_again([Dataset(local=dataset)], staged)[0].fingerprint == staged[0].fingerprint
        (dataset / "empty.csv").write_text("not any more")
        with pytest.raises(DataError, match=r"has different files here \(3, 6,012 bytes\) than for the launcher"):
            found_again([Dataset(local=dataset)], staged)


def test_the_cache_keeps_it_until_the_container_has_ended(container: Container) -> None:
    container.put(SMALL)
    with stage_datasets([Dataset(id=container.url(), mode="download")]) as (staged,):
        assert Cache().clear() == []
        assert (staged.path / "scans" / "one.nii").exists()
    assert [entry.source for entry in Cache().clear()] == [container.url()]


def test_a_mount_is_gone_when_the_container_has_ended(needs: Callable[..., None], container: Container) -> None:
    needs("fuse")
    container.put(SMALL)
    with stage_datasets([Dataset(id=container.url(), mode="mount", strict=True)]) as (staged,):
        assert os.path.ismount(staged.path)
    assert not staged.path.exists()


def test_a_mount_that_the_engine_cannot_see_is_downloaded(
    container: Container, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    container.put(SMALL)
    for name in ("access", "geteuid"):
        monkeypatch.setattr(os, name, lambda *args: True)
    monkeypatch.setattr(mounting.shutil, "which", lambda name: name)
    monkeypatch.setattr(mounting, "FUSE_SETTINGS", tmp_path / "fuse.conf")
    (tmp_path / "fuse.conf").write_text("# user_allow_other\n")
    assert mounting.mount_unavailable_reason() == ""
    with stage_datasets([Dataset(id=container.url())]) as (staged,):
        assert staged.mode == "download"
    assert "user_allow_other" in staged.reason
    assert f"{container.url()} can't be mounted: FUSE shows" in caplog.text
    with pytest.raises(DataError, match="user_allow_other"), stage_datasets([Dataset(id=container.url(), strict=True)]):
        pass
    (tmp_path / "fuse.conf").write_text("user_allow_other\n")
    assert mounting.mount_unavailable_reason(for_others=True) == ""


def test_what_is_left_of_a_guardian_that_was_killed_is_found(needs: Callable[..., None], container: Container) -> None:
    needs("fuse")
    container.put(SMALL)
    with stage_datasets([Dataset(id=container.url(), mode="mount", strict=True)]) as (staged,):
        folder = staged.path.parent
        assert mounting.cleanup_stale_mounts() == []
        assert os.path.ismount(staged.path)
        os.kill(guardian_of(folder), signal.SIGKILL)
        assert until(lambda: mounting.cleanup_stale_mounts() == [folder])
        assert not folder.exists()


def guardian_of(folder: Path) -> int:
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = place.read_bytes().split(b"\0")
            if len(words) > 3 and words[2].endswith(b"reaper.py") and words[3] == os.fsencode(folder):
                return int(place.parent.name)
    raise AssertionError(f"nobody looks after {folder}")


def until(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_a_launcher_names_the_key_of_what_it_cannot_bring(dataset: Path) -> None:
    wanted = [Dataset(id="azure://x"), Dataset(local=dataset)]
    with pytest.raises(DataError, match=r"datasets\[0\]\.id: 'azure://x'"), stage_datasets(wanted):
        pass
