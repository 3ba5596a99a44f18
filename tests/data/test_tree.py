from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.fingerprint.tree import display_path, walk
from innereye_runtime.errors import DataError

HOSTILE = [
    "new\nline",
    "back\\slash",
    "..hidden",
    "...",
    " lead and trail ",
    "\u00e9",  # one character,
    "e\u0301",  # and the same one as two: unicode twins
    "x" * 255,
    "\U0001f9e0" * 63,
    "-rf",
    "*?[a]",
    "\x1b[31m",
    "\udcff\udcfe",  # not UTF-8
]


def test_hostile_names_are_names(tmp_path: Path) -> None:
    root = tmp_path / "hostile"
    root.mkdir()
    for name in HOSTILE:
        (root / name).write_text(ascii(name))
    assert sorted(file.name for file in walk(root)) == sorted(HOSTILE)
    assert fingerprint(root).files == len(HOSTILE)


def test_twins_are_two_datasets(tmp_path: Path) -> None:
    for folder, name in [("a", "\u00e9"), ("b", "e\u0301")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


def test_a_path_in_a_message_is_one_line_and_moves_no_cursor(tmp_path: Path) -> None:
    assert display_path(Path("/data"), "a\nb\x1b[31m\udcff") == "/data/a\\nb\\x1b[31m\\udcff"


def test_an_empty_folder_has_a_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert walk(tmp_path / "a") == []
    assert fingerprint(tmp_path / "a").files == 0


def test_links_within_the_tree_count_as_what_they_name(dataset: Path, tmp_path: Path) -> None:
    (dataset / "link.nii").symlink_to("scans/one.nii")
    (dataset / "more").symlink_to("scans")
    copy = tmp_path / "copy"
    os.system(f"cp -rL {dataset} {copy}")
    assert fingerprint(dataset) == fingerprint(copy)
    assert fingerprint(dataset).files == 6


def test_a_root_that_is_a_link_is_followed(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dataset)
    assert fingerprint(tmp_path / "link") == fingerprint(dataset)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("../outside", "outside of the dataset's folder"),
        ("/etc/passwd", "outside of the dataset's folder"),
        ("nowhere", "is not there"),
        ("bad", "leads nowhere"),
        (".", "never ends"),
        ("../dataset", "never ends"),
    ],
)
def test_a_link_out_of_the_tree_or_to_nothing_is_an_error(
    dataset: Path, tmp_path: Path, target: str, message: str
) -> None:
    (tmp_path / "outside").mkdir()
    (dataset / "bad").symlink_to(target)
    with pytest.raises(DataError, match=message) as raised:
        walk(dataset)
    assert str(dataset / "bad") in str(raised.value)
    assert raised.value.hint


def test_folders_that_link_to_each_other_are_an_error(tmp_path: Path) -> None:
    for here, there in [("a", "b"), ("b", "a")]:
        (tmp_path / here).mkdir()
        (tmp_path / here / "on").symlink_to(f"../{there}")
    with pytest.raises(DataError, match="never ends"):
        walk(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_pipe_or_a_socket_is_an_error_and_no_wait(dataset: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(dataset)
    if kind == "pipe":
        os.mkfifo("special")
    else:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("special")
    with pytest.raises(DataError, match="special is a pipe, a socket or a device"):
        walk(dataset)
