from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.data.test_tree import HOSTILE

from innereye_runtime.data.fingerprint.hashing import file_sha256
from innereye_runtime.errors import ExitCode, OutputError, PreflightError
from innereye_runtime.run import background_hash
from innereye_runtime.run import output_manifest as module
from innereye_runtime.run.output_manifest import (
    check_expected,
    restore_links,
    start_background_hashing,
    verify,
    write_outputs,
)
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.temporaries import remove_temporaries


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    (root / "checkpoints").mkdir(parents=True)
    (root / "checkpoints" / "best.ckpt").write_bytes(b"weights")
    (root / "report.txt").write_text("good")
    (root / "empty.log").touch()
    return root


def listed(root: Path) -> Any:
    return json.loads((root / "outputs.json").read_text())


def test_every_file_stands_there_with_size_and_sha256_sorted(run: Path) -> None:
    write_outputs(run)
    assert listed(run) == {
        "schema": 1,
        "files": [
            {"path": name, "size": len(content), "sha256": sha256(content).hexdigest()}
            for name, content in [("checkpoints/best.ckpt", b"weights"), ("empty.log", b""), ("report.txt", b"good")]
        ],
    }
    assert verify(run) == ()
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


def test_what_was_hashed_ahead_is_read_again_only_where_it_has_changed(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {name: run / f"{name}.large" for name in ("kept", "appended", "rewritten", "replaced", "gone")}
    for path in large.values():
        path.write_bytes(os.urandom(9 << 20))
    os.link(large["kept"], run / "linked.large")
    ahead = start_background_hashing(run)
    ahead._thread.join()
    with large["appended"].open("ab") as file:
        file.write(b"more")
    with large["rewritten"].open("r+b") as file:  # the same inode and size
        file.write(b"other")
    (run / "new").write_bytes(os.urandom(9 << 20))
    (run / "new").replace(large["replaced"])
    large["gone"].unlink()
    read: list[str] = []
    for where in (module, background_hash):
        monkeypatch.setattr(where, "file_sha256", lambda path: read.append(path.name) or file_sha256(path))
    write_outputs(run, ahead=ahead)
    assert sorted(read) == [
        "appended.large",
        "best.ckpt",
        "empty.log",
        "replaced.large",
        "report.txt",
        "rewritten.large",
    ]
    assert verify(run) == ()


def test_large_files_are_hashed_side_by_side(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=20)
    hashed = module.file_sha256

    def meet(path: Path) -> tuple[int, str]:
        if path.suffix == ".large":
            both.wait()
        return hashed(path)

    for name in ("one.large", "two.large"):
        with (run / name).open("wb") as file:
            file.truncate(9 << 20)
    monkeypatch.setattr(module, "file_sha256", meet)
    monkeypatch.setattr(module, "parallel", partial(module.parallel, workers=2))
    write_outputs(run)
    assert len(listed(run)["files"]) == 5


def test_written_again_after_a_change_it_is_true_again(run: Path) -> None:
    write_outputs(run)
    (run / "report.txt").write_text("better")
    assert verify(run) == ("report.txt has 6 bytes and had 4",)
    write_outputs(run)
    assert verify(run) == ()


def test_each_difference_is_a_sentence(run: Path) -> None:
    (run / "link").symlink_to("report.txt")
    (run / "kind").symlink_to("report.txt")
    write_outputs(run)
    (run / "empty.log").unlink()
    (run / "report.txt").write_text("evil")
    (run / "checkpoints" / "best.ckpt").write_bytes(b"weight")
    (run / "added\n").touch()
    (run / "link").unlink()
    (run / "link").symlink_to("empty.log")
    (run / "kind").unlink()
    (run / "kind").write_text("good")
    assert verify(run) == (
        "added\\n is not listed",
        "checkpoints/best.ckpt has 6 bytes and had 7",
        "empty.log is missing",
        "kind is a file and was a link",
        "link leads to 'empty.log' and led to 'report.txt'",
        "report.txt has another content",
    )


def test_hostile_names_are_listed_and_verified(run: Path) -> None:
    for name in HOSTILE:
        (run / name).write_text(ascii(name))
    write_outputs(run)
    assert {file["path"] for file in listed(run)["files"]} >= set(HOSTILE)
    assert verify(run) == ()


def test_a_link_out_of_the_folder_is_listed_and_not_followed(run: Path) -> None:
    (run / "data").symlink_to("/")
    (run / "gone").symlink_to("nowhere")
    os.mkfifo(run / "pipe")
    write_outputs(run)
    assert {"path": "data", "link": "/"} in listed(run)["files"]
    assert len(listed(run)["files"]) == 5
    assert verify(run) == ()


def test_no_link_is_made_through_another_one(tmp_path: Path) -> None:
    """A list that came with a run of somebody else makes nothing outside of its folder."""
    root, outside = tmp_path / "run", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    links = [("a", str(outside)), ("a/.bash_profile", "/bin/true"), ("b", "a")]
    files = [{"path": path, "link": link} for path, link in links]
    (root / "outputs.json").write_text(json.dumps({"schema": 1, "files": files}))
    for _ in range(2):
        restore_links(root)
        assert list(outside.iterdir()) == []
    assert (root / "b").readlink() == Path("a")
    assert "a/.bash_profile is missing" in verify(root)


def test_without_a_list_a_run_is_not_complete(run: Path) -> None:
    (problem,) = verify(run)
    assert "outputs.json is not there" in problem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema": 2, "files": []}',
        '{"schema": 1, "files": [1]}',
        '{"schema": 1, "files": [{"path": "/etc/passwd", "size": 1, "sha256": ""}]}',
        '{"schema": 1, "files": [{"path": "a/../../b", "size": 1, "sha256": ""}]}',
        '{"schema": 1, "files": [{"path": "a", "size": 1}]}',
        '{"schema": 1, "files": [{"path": "report.txt", "size": "1", "sha256": ""}]}',
        '{"schema": 1, "files": [{"path": "report.txt", "size": null, "sha256": ""}]}',
        "[" * 200_000,
        '{"schema": 1, "files": [{"path": "a", "link": ""}, {"path": "a", "link": ""}]}',
    ],
    ids=lambda text: text[:100],
)
def test_a_list_that_cannot_be_trusted_is_a_problem(run: Path, text: str) -> None:
    (run / "outputs.json").write_text(text)
    (problem,) = verify(run)
    assert "outputs.json can't be read" in problem


def test_what_is_expected_and_there_is_fine(run: Path) -> None:
    check_expected(run, ["report.txt", "checkpoints/*.ckpt", "**/best.*", "*.[lt]*"])


def test_two_asterisks_in_a_name_are_as_one(run: Path) -> None:
    """As in a shell, and in Python from 3.13 on."""
    check_expected(run, ["re**.txt", "checkpoints/**.ckpt", "***"])
    with pytest.raises(OutputError, match=r"'\*\*\.ckpt' matches no file"):
        check_expected(run, ["**.ckpt"])


def test_each_expected_output_that_is_missing_or_empty_is_named(run: Path) -> None:
    (run / "out.txt").symlink_to("/etc/passwd")
    with pytest.raises(OutputError) as raised:
        write_outputs(
            run, ["report.txt", "reprot.txt", "*.log", "checkpoints", "out.txt", "/etc/passwd", "../run/*.txt"]
        )
    assert str(raised.value).splitlines() == [
        f"outputs.expect[1]: 'reprot.txt' matches no file in {run}",
        "outputs.expect[2]: '*.log' matches only what is empty: empty.log",
        f"outputs.expect[3]: 'checkpoints' matches no file in {run}",
        f"outputs.expect[4]: 'out.txt' matches no file in {run}",
        "outputs.expect[5]: '/etc/passwd' is not a path inside the run folder",
        "outputs.expect[6]: '../run/*.txt' is not a path inside the run folder",
    ]
    assert raised.value.exit_code == ExitCode.OUTPUTS == 6
    assert not (run / "outputs.json").exists()


def test_an_old_list_does_not_outlive_a_failure(run: Path) -> None:
    write_outputs(run)
    with pytest.raises(OutputError):
        write_outputs(run, ["nothing"])
    assert not (run / "outputs.json").exists()


def test_a_file_that_cannot_be_read_is_named_and_nothing_is_published(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(module, "file_sha256", refuse)  # root may read everything
    with pytest.raises(OutputError, match=r"best\.ckpt: Permission denied"):
        write_outputs(run)
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "empty.log", "report.txt"]


def test_a_listed_file_that_cannot_be_read_is_a_difference(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> tuple[int, str]:
        raise PermissionError(13, "Permission denied", str(path))

    write_outputs(run)
    monkeypatch.setattr(module, "file_sha256", refuse)
    assert verify(run) == ("checkpoints/best.ckpt can't be read", "empty.log can't be read", "report.txt can't be read")


def test_what_is_left_of_a_list_whose_writer_was_killed_is_no_output(run: Path) -> None:
    (run / ".outputs.json.1").write_text("{")
    write_outputs(run)
    assert [file["path"] for file in listed(run)["files"]] == ["checkpoints/best.ckpt", "empty.log", "report.txt"]
    assert verify(run) == ()


def test_a_copy_verifies_and_a_half_copy_does_not(run: Path, tmp_path: Path) -> None:
    write_outputs(run)
    shutil.copytree(run, tmp_path / "copy")
    assert verify(tmp_path / "copy") == ()
    (tmp_path / "copy" / "checkpoints" / "best.ckpt").unlink()
    assert verify(tmp_path / "copy") == ("checkpoints/best.ckpt is missing",)


def test_on_a_full_disk_nothing_half_is_published(run: Path, small_disk: Callable[[str], Path]) -> None:
    root = small_disk("2m") / "run"
    shutil.copytree(run, root)
    with pytest.raises(OSError, match="No space"):
        (root / "fills.bin").write_bytes(bytes(3 << 20))
    with pytest.raises(PreflightError, match="disk full: the outputs can't be finished") as raised:
        write_outputs(root)
    assert raised.value.exit_code == ExitCode.PREFLIGHT == 3
    assert not list(root.glob("*outputs.json*"))
    (root / "fills.bin").unlink()
    write_outputs(root)
    assert verify(root) == ()


def test_what_a_killed_writer_left_is_no_output_and_is_removed_at_the_next_start(run: Path) -> None:
    left = (
        ".run.json.17.tmp", ".run.json.room", ".report.html.17.tmp", ".metrics.csv.3.tmp", ".outputs.json.17",
        "checkpoints/.last.ckpt.tmp", "mine/.epoch=3.ckpt.tmp", "figures/.a.png.tmp", "pretrained_models/.w.ckpt.part",
    )  # fmt: skip
    own = (".hidden", "mine/.cache.tmp", "checkpoints/epoch.ckpt", "notes.tmp")
    for name in (*left, *own, ".lock"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text("x")
    write_outputs(run)
    names = {entry["path"] for entry in listed(run)["files"]}
    assert names.isdisjoint({*left, ".lock"}) and names >= set(own)
    assert verify(run) == ()
    remove_temporaries(RunPaths(run))
    assert not any((run / name).exists() for name in left)
    assert all((run / name).exists() for name in (*own, ".lock"))
