"""What Tab offers of folders: run folders where a command takes one, manifests where it takes those."""

from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime.cli.commands.completion import candidates


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, which is the home folder too, with a run, another folder, a hidden one and two manifests."""
    for name in ("run", "other", ".hidden"):
        (tmp_path / "outputs" / name).mkdir(parents=True)
    for name in ("outputs/run/run.json", "outputs/a.yaml", "outputs/b.yml", "outputs/c.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("command", ["report", "verify", "resume", "status", "logs", "stop"])
def test_a_run_folder_ends_a_path(command: str) -> None:
    assert list(candidates([command, "outputs/"])) == [("outputs/other/", ""), ("outputs/run", "run")]


def test_manifests_stand_beside_folders() -> None:
    assert [value for value, _ in candidates(["validate", "outputs/"])] == [
        *("outputs/a.yaml", "outputs/b.yml", "outputs/other/", "outputs/run/")
    ]


def test_a_hidden_folder_waits_for_its_dot() -> None:
    assert list(candidates(["report", "outputs/."])) == [("outputs/.hidden/", "")]


def test_a_folder_that_is_not_there_has_nothing() -> None:
    assert list(candidates(["report", "nowhere/"])) == []


def test_a_manifest_that_names_no_container_leaves_the_options() -> None:
    assert [value for value, _ in candidates(["validate", "outputs/a.yaml", "--"])] == ["--help", "--set", "--format"]


def test_the_home_folder_stays_as_it_was_typed() -> None:
    assert list(candidates(["report", "~/outputs/r"])) == [("~/outputs/run", "run")]


def test_the_root_of_the_file_system_keeps_its_slash() -> None:
    assert all(value.startswith("/") for value, _ in candidates(["report", "/"]))
    assert list(candidates(["report", "/"]))
