from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from innereye_runtime.data.datasets import preflight, resolve
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.errors import DataError, ExitCode
from innereye_runtime.manifest.model import Dataset


def test_a_local_folder_is_read_where_it_is(dataset: Path) -> None:
    (found,) = resolve([Dataset(id="hello", local=dataset)])
    assert found.path == dataset
    assert found.fingerprint == fingerprint(dataset)
    assert found.describe() == {
        "id": "hello",
        "path": str(dataset),
        "source": str(dataset),
        "mode": "mount",
        "reason": "the folder is on this machine, and is read where it is",
        "sha256": found.fingerprint.sha256,
        "files": 3,
        "bytes": 6000,
        "seconds": 0.0,
    }


def test_no_dataset_is_fine() -> None:
    assert resolve([]) == ()
    assert preflight([]) == ()


def test_the_launchers_places_come_first_and_may_be_more(dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    found = resolve([Dataset(id="a", local=tmp_path / "not here"), Dataset(id="b", local=dataset)], [other])
    assert [(one.id, one.path) for one in found] == [("a", other), ("b", dataset)]
    assert found[0].reason == "it is where the launcher put it"
    assert found[1].reason == "the folder is on this machine, and is read where it is"
    assert [one.path for one in resolve([], [dataset, other])] == [dataset, other]


def test_a_relative_place_becomes_absolute(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dataset.parent)
    assert resolve([], [Path("dataset")])[0].path == dataset


@pytest.mark.parametrize(
    ("missing", "hint"),
    [
        ("datasett", "did you mean {tmp}/dataset?"),
        ("Dataset", "did you mean {tmp}/dataset?"),
        ("datast/scans/deeper", "did you mean {tmp}/dataset?"),
        ("dataset/brains", "{tmp}/dataset holds scans"),
        ("dataset/scans/brains", "{tmp}/dataset/scans holds no folder"),
    ],
)
def test_a_missing_path_is_named_with_its_key_and_what_is_near(
    dataset: Path, tmp_path: Path, missing: str, hint: str
) -> None:
    for look in (preflight, resolve):
        with pytest.raises(DataError) as raised:
            look([Dataset(local=tmp_path / missing)])
        assert str(raised.value) == f"dataset.local: there is no folder {tmp_path / missing}"
        assert raised.value.hint == hint.format(tmp=tmp_path)
        assert raised.value.exit_code == ExitCode.DATA == 5


def test_each_of_several_has_its_own_error(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file.zip").touch()
    with pytest.raises(DataError) as raised:
        preflight(
            [
                Dataset(local=dataset),
                Dataset(local=tmp_path / "dataset2"),
                Dataset(local=tmp_path / "file.zip"),
                Dataset(id="brats"),
            ]
        )
    assert str(raised.value).splitlines() == [
        f"datasets[1].local: there is no folder {tmp_path}/dataset2",
        f"datasets[2].local: {tmp_path}/file.zip is a file, and a dataset is a folder",
        "datasets[3].id: 'brats' has an id but no local copy on this machine",
    ]


def test_a_place_that_is_not_there_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--dataset: there is no folder /nowhere"):
        resolve([Dataset(local=tmp_path)], [Path("/nowhere")])


def test_a_folder_that_cannot_be_read_is_named(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may read everything
    with pytest.raises(DataError, match=f"dataset.local: the folder {dataset} can't be read by this user"):
        preflight([Dataset(local=dataset)])


def test_the_manifests_sha256_is_compared(dataset: Path) -> None:
    right = fingerprint(dataset).sha256
    assert resolve([Dataset(local=dataset, sha256=right.upper())])[0].fingerprint.sha256 == right
    (dataset / "scans" / "one.nii").write_bytes(b"another")
    with pytest.raises(DataError, match=r"dataset\.sha256: .*is not the one") as raised:
        resolve([Dataset(local=dataset, sha256=right)])
    assert f"named {right}" in str(raised.value)
    assert re.search(r"found [0-9a-f]{64} \(3 files, 3,007 bytes\)", str(raised.value))
