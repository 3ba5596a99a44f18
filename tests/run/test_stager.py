"""Staging: what is in the output counts whole or not at all, on stores that can only write a file and read one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.errors import OutputError, UsageError
from innereye_runtime.run import staged_store, stager
from innereye_runtime.run.output_manifest import verify, write_outputs
from innereye_runtime.run.staged_restore import restore
from innereye_runtime.run.staged_store import Index, OutputStore, StagedFile
from innereye_runtime.run.stager import Stager

SAID = "[Errno 5] Input/output error: '.staging/files/checkpoints/last.ckpt'"


class _Guard:
    """Refuses, while `folder` is set, all below it but writing a new content and reading."""

    folder = ""
    installed = False


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if not _Guard.folder:
        return
    paths = [os.fspath(each) for each in arguments if isinstance(each, str | os.PathLike)]
    if not any(path.startswith(_Guard.folder) for path in paths):
        return
    appends = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_APPEND | os.O_EXCL)
    both = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_RDWR
    if appends or both or event in ("os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"):
        raise PermissionError(f"the store has no {event}")


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """The folder of a store without rename, append, delete, links and partial writes."""
    if not _Guard.installed:
        sys.addaudithook(_refuse)
        _Guard.installed = True
    folder = tmp_path / "output"
    folder.mkdir()
    _Guard.folder = str(folder)
    yield folder
    _Guard.folder = ""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stager, "_PAUSE_SECONDS", 0.0)


def run_of(tmp_path: Path, name: str = "run") -> Path:
    root = tmp_path / name
    for file, text in {"run.json": "1", "checkpoints/last.ckpt": "epoch 1", "logs/console.log": "a\n"}.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    return root


def staging_of(root: Path, output: Path, **options: Any) -> Stager:
    """As a process has it that begins an attempt."""
    staging = Stager(root, OutputStore(output), **options)
    staging.open()
    return staging


def restored(tmp_path: Path, output: Path) -> dict[str, str]:
    """What a restart finds."""
    root = tmp_path / "again"
    restore(root, OutputStore(output))
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_a_finished_run_is_in_the_output_under_its_own_names(tmp_path: Path, output: Path) -> None:
    root = run_of(tmp_path)
    staging = staging_of(root, output, shown=tmp_path / "shown")
    staging.save()
    (root / "checkpoints" / "last.ckpt").write_text("epoch 2")
    (root / ".run.json.room").write_text("room")
    (root / "scratch").write_text("removed before the end")
    staging.save()
    (root / ".run.json.room").unlink()
    (root / "scratch").unlink()
    (root / ".kept").write_text("the user's own")
    write_outputs(root)
    staging.finish()
    own = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {name: (output / name).read_bytes() for name in own} == {name: (root / name).read_bytes() for name in own}
    assert restored(tmp_path, output).keys() == own - {"outputs.json"}
    assert (tmp_path / "shown" / "logs" / "console.log").read_text() == "a\n"
    assert not (tmp_path / "shown" / "checkpoints").exists()
    assert verify(root) == ()


def test_a_kill_in_any_write_leaves_what_was_saved_before(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run_of(tmp_path)
    staging = staging_of(root, output)
    staging.save()
    saved = restored(tmp_path, output)
    assert saved["checkpoints/last.ckpt"] == "epoch 1"
    (root / "checkpoints" / "last.ckpt").write_text("epoch 2")
    (root / "run.json").write_text("2")
    flush, ends = staged_store._flush, 0

    class Killed(BaseException):
        pass

    def torn(file: Any) -> None:
        nonlocal ends
        if ends == 0:
            file.seek(0)
            file.truncate()
            raise Killed
        ends -= 1
        flush(file)

    monkeypatch.setattr(staged_store, "_flush", torn)
    for ends_before in range(3):  # two files and the index
        ends = ends_before
        with pytest.raises(Killed):
            staging.save()
        assert restored(tmp_path, output) == saved
    ends = 3
    staging.save()
    assert restored(tmp_path, output)["checkpoints/last.ckpt"] == "epoch 2"


def test_a_store_that_fails_for_a_while_costs_nothing_and_one_that_keeps_failing_is_reported(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, said = run_of(tmp_path), list[str]()
    staging = staging_of(root, output, report=said.append)
    write, failures = OutputStore.write, 3

    def failing(self: OutputStore, name: str, source: Path, advanced: Any) -> tuple[int, str]:
        nonlocal failures
        if failures:
            failures -= 1
            raise OSError(5, "Input/output error", name)
        return write(self, name, source, advanced)

    monkeypatch.setattr(OutputStore, "write", failing)
    staging.save()
    assert restored(tmp_path, output)["checkpoints/last.ckpt"] == "epoch 1"
    (root / "checkpoints" / "last.ckpt").write_text("epoch 2")
    failures = 10**6
    staging.save()
    assert said == ["warning: the newest files, and a checkpoint among them, are not in the output yet: " + SAID]
    with pytest.raises(OutputError, match=r"can't be written: .*Input/output error"):
        staging.finish()
    assert restored(tmp_path, output)["checkpoints/last.ckpt"] == "epoch 1"


def test_what_was_not_written_as_it_is_here_is_written_again(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run_of(tmp_path)
    staging = staging_of(root, output)
    read, stale = staged_store.file_sha256, 2

    def reads_old(path: Path) -> tuple[int, str]:
        nonlocal stale
        if path.name == "last.ckpt" and stale:
            stale -= 1
            return 0, ""
        return read(path)

    monkeypatch.setattr(staged_store, "file_sha256", reads_old)
    staging.save()
    assert stale == 0
    assert restored(tmp_path, output)["checkpoints/last.ckpt"] == "epoch 1"


def test_damage_in_the_output_takes_the_version_before_it(tmp_path: Path, output: Path) -> None:
    root = run_of(tmp_path)
    staging = staging_of(root, output)
    for epoch in (1, 2):
        (root / "checkpoints" / "last.ckpt").write_text(f"epoch {epoch}")
        staging.save()
    newest = OutputStore(output).indexes()[0].files["checkpoints/last.ckpt"]
    (output / newest.place("checkpoints/last.ckpt")).write_text("damaged")
    (note,) = restore(tmp_path / "again", OutputStore(output)).notes
    assert "files in the output are missing or damaged: checkpoints/last.ckpt" in note
    assert (tmp_path / "again" / "checkpoints" / "last.ckpt").read_text() == "epoch 1"


def test_a_run_that_was_not_staged_is_taken_over(tmp_path: Path, output: Path) -> None:
    _Guard.folder = ""
    run_of(tmp_path, "output")
    (output / "outputs.json").write_text("{}")
    _Guard.folder = str(output)
    found = restore(tmp_path / "here", OutputStore(output))
    assert found.notes == ()
    staging = Stager(tmp_path / "here", OutputStore(output))
    staging.continue_from(found.index, found.index.files)
    staging.open()
    assert (tmp_path / "here" / "checkpoints" / "last.ckpt").read_text() == "epoch 1"
    assert (output / "outputs.json").read_text() == ""  # not complete any more, on a store that deletes nothing
    assert restored(tmp_path, output).keys() == {"run.json", "checkpoints/last.ckpt", "logs/console.log"}


@pytest.mark.parametrize("text", [b"", b"{", b'{"sha256": "0", "index": "{}"}', b"[]"])
def test_an_index_that_is_not_whole_is_none(text: bytes) -> None:
    assert Index.from_bytes(text) is None


def test_an_index_that_leads_out_of_the_folder_is_none() -> None:
    one = StagedFile(size=1, sha256="0")
    assert Index.from_bytes(Index(sequence=1, files={"a/b": one}).to_bytes()) == Index(sequence=1, files={"a/b": one})
    for name in ("/etc/passwd", "../other"):
        assert Index.from_bytes(Index(sequence=1, files={name: one}).to_bytes()) is None


def test_another_process_continues_where_one_left_off(tmp_path: Path, output: Path) -> None:
    root = run_of(tmp_path)
    staging_of(root, output).save()
    before = OutputStore(output).indexes()[0]
    (root / "logs" / "console.log").write_text("a\nb\n")
    again = Stager(root, OutputStore(output))
    again.attach({})
    again.save()
    after = OutputStore(output).indexes()[0]
    assert after.sequence == before.sequence + 1
    changed = {name for name, staged in after.files.items() if staged != before.files.get(name)}
    assert changed == {"logs/console.log"}


def test_a_folder_that_is_not_a_runs_is_left_alone(tmp_path: Path, output: Path) -> None:
    staging_of(run_of(tmp_path), output).save()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty and not a run folder"):
        restore(tmp_path / "home", OutputStore(output))
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_a_folder_that_goes_while_files_are_listed_is_no_error(
    tmp_path: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run_of(tmp_path)
    said: list[str] = []
    staging = staging_of(root, output, report=said.append)
    below, gone = stager.files_below, [2]

    def listed(folder: Path) -> Iterator[str]:
        gone[0] -= 1
        if gone[0] >= 0:
            raise FileNotFoundError(2, "No such file or directory", "scratch")
        return below(folder)

    monkeypatch.setattr(stager, "files_below", listed)
    staging.save()
    assert said == []
    assert restored(tmp_path, output)["checkpoints/last.ckpt"] == "epoch 1"
