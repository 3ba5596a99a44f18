"""The copy of a run folder from outside of its run: the newest index is always a whole run that can be resumed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from innereye_runtime.errors import OutputError, UsageError
from innereye_runtime.run import mirror as mirror_module
from innereye_runtime.run import staged_store, stager
from innereye_runtime.run.linked_view import LinkedView
from innereye_runtime.run.mirror import Mirror
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.output_manifest import verify, write_outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.staged_restore import restore
from innereye_runtime.run.staged_store import RefusedByStoreError, Store, StoreError, place_of

URL = "azure://account/runs/run"


class KilledError(BaseException):
    """The process ends here."""


class Memory(Store):
    """A store in memory, which `before` is called for at each write: what it raises happens in place of it."""

    def __init__(self, before: Callable[[str], None] = lambda name: None) -> None:
        self.files: dict[str, bytes] = {}
        self.before = before
        self.writes = 0
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return URL

    def write(self, name: str, source: Path, advanced: Callable[[int], None]) -> tuple[int, str]:
        content = source.read_bytes()
        self.write_bytes(name, content)
        return len(content), hashlib.sha256(content).hexdigest()

    def write_bytes(self, name: str, content: bytes) -> None:
        with self._lock:  # so that writes have numbers
            self.writes += 1
            self.before(name)
            self.files[name] = content

    def read_bytes(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(name)
        return self.files[name]

    def names(self) -> list[str]:
        return [*self.files]

    def copy_out(self, name: str, target: Path) -> None:
        target.write_bytes(self.read_bytes(name))

    def remove_second_places(self, names: Iterable[str]) -> None:
        for name in names:
            self.files.pop(place_of(name, 1), None)


class Run:
    """A run folder that is written to as training does: each epoch renames run.json, the table and the checkpoints
    over the earlier ones, and checkpoints name each other."""

    def __init__(self, root: Path) -> None:
        self.paths = RunPaths(root)
        self.paths.checkpoints.mkdir(parents=True, exist_ok=True)
        self.paths.logs.mkdir(exist_ok=True)
        self.paths.manifest.write_text("schema: 1\n")

    def replace(self, path: Path, text: str) -> None:
        beside = (
            path.with_name(f".{path.name}.1.tmp") if path.suffix == ".json" else path.with_name(f".{path.name}.tmp")
        )
        beside.write_text(text)
        beside.replace(path)

    def epoch(self, number: int, pause: float = 0.0) -> None:
        """What is left in this order is a folder that can be resumed after a kill anywhere."""
        with self.paths.metrics_csv.open("a") as table:
            table.write(f"{number}\n")
        self.replace(self.paths.checkpoints / "partial.ckpt", f"within {number}")
        pending = self.paths.checkpoints / ".best.ckpt.pending"
        pending.write_text(str(number))
        self.replace(self.paths.last_checkpoint, str(number))
        time.sleep(pause)
        pending.replace(self.paths.best_checkpoint)
        self.paths.partial_checkpoint.unlink()
        self.replace(self.paths.run_json, json.dumps({"epoch": number}))
        with self.paths.console_log.open("a") as log:
            log.write(f"epoch {number}\n")


def check(store: Store, tmp_path: Path) -> int:
    """The epoch that the newest index can be resumed from; all of the state is of one moment."""
    root = tmp_path / f"restored{time.monotonic_ns()}"
    found = restore(root, store)
    assert found.notes == ()
    paths = RunPaths(root)
    if not paths.last_checkpoint.exists():
        return 0
    last = int(paths.last_checkpoint.read_text())
    assert paths.best_checkpoint.read_text() == str(last), "last.ckpt names a best one that is not there"
    rows = [int(row) for row in paths.metrics_csv.read_text().split()]
    assert rows[:last] == list(range(1, last + 1)), "the table has less than the checkpoint"
    assert paths.manifest.read_text() == "schema: 1\n"
    if paths.partial_checkpoint.exists():
        assert int(paths.partial_checkpoint.read_text().split()[1]) >= last
    return last


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stager, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(staged_store, "_PAUSES", (0.0,))
    monkeypatch.setattr(mirror_module, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(mirror_module, "EVERY_SECONDS", 0.02)
    monkeypatch.setattr(mirror_module, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(mirror_module, "PATIENCE_SECONDS", 0.2)


def mirror_of(run: Run, store: Store, said: list[str] | None = None) -> Mirror:
    state = MirrorState.read(run.paths, URL)
    mirror = Mirror(run.paths, store, state, report=(said if said is not None else []).append)
    mirror.begin()
    return mirror


def complete(run: Run) -> None:
    write_outputs(run.paths.root)


def test_each_index_is_a_whole_run_while_the_run_replaces_its_files(tmp_path: Path) -> None:
    run, seen = Run(tmp_path / "run"), set()

    def on_write(name: str) -> None:
        if name.startswith(".staging/index"):
            time.sleep(0.002)

    store = Memory(on_write)
    mirror = mirror_of(run, store)
    mirror.start()
    for number in range(1, 40):
        run.epoch(number, pause=0.002)
        time.sleep(0.01)
        snapshot = Memory()
        snapshot.files = dict(store.files)  # what another machine would find now
        seen.add(check(snapshot, tmp_path))
    complete(run)
    mirror.finish()
    assert len(seen) > 5, "nothing was copied while the run was active"
    assert check(store, tmp_path) == 39
    assert not any(name.startswith(".staging/files") for name in store.files)
    copied = {name: content for name, content in store.files.items() if not name.startswith(".staging/")}
    here = {path.relative_to(run.paths.root).as_posix(): path for path in run.paths.root.rglob("*") if path.is_file()}
    del here[".mirror.json"]
    assert copied == {name: path.read_bytes() for name, path in here.items()}
    assert not (tmp_path / ".mirror").exists()


def test_a_kill_at_any_write_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    """The same writes each time: three epochs, each copied, and the end; killed before each write in turn."""

    def story(store: Memory, root: Path) -> None:
        run = Run(root)
        mirror = mirror_of(run, store)
        for number in (1, 2, 3):
            run.epoch(number)
            done.append(number)
            mirror._look()
            copied.append(number)
        complete(run)
        mirror.finish()
        copied.append(4)

    done: list[int] = []
    copied: list[int] = []
    whole = Memory()
    story(whole, tmp_path / "whole")
    assert whole.writes > 15
    for number in range(1, whole.writes + 1):
        done.clear()
        copied.clear()

        store = Memory()

        def kill(name: str, at: int = number, store: Memory = store) -> None:
            if store.writes >= at:
                raise KilledError  # also what the other threads of a copy were about to write

        store.before = kill
        with pytest.raises(KilledError):
            story(store, tmp_path / f"killed{number}")
        store.before = lambda name: None
        epoch = check(store, tmp_path)
        assert min(copied[-1] if copied else 0, 3) <= epoch <= done[-1] if done else epoch == 0, number
        assert "outputs.json" not in store.files or not store.files["outputs.json"]

        # The same folder is copied on, and its copy is complete then.
        run = Run(tmp_path / f"killed{number}")
        for left in range((done[-1] if done else 0) + 1, 4):
            run.epoch(left)
        mirror = mirror_of(run, store)
        complete(run)
        mirror.finish()
        assert check(store, tmp_path) == 3
        restored = tmp_path / f"again{number}"
        restore(restored, store)
        (restored / "outputs.json").write_bytes(store.files["outputs.json"])
        assert verify(restored) == ()


def test_a_store_that_fails_for_a_while_is_reported_once_and_gets_everything(tmp_path: Path) -> None:
    run, said = Run(tmp_path / "run"), list[str]()

    def fail(name: str) -> None:
        raise StoreError("500 InternalError")

    store = Memory()
    mirror = mirror_of(run, store, said)
    mirror.start()
    store.before = fail
    for number in range(1, 4):
        run.epoch(number)
        time.sleep(0.03)
    assert said == [f"warning: the newest files are not in {URL} yet, trying again: 500 InternalError"]
    store.before = lambda name: None
    deadline = time.monotonic() + 10
    while len(said) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert said[1:] == [f"the newest files are in {URL} again"]
    assert check(store, tmp_path) == 3
    complete(run)

    # At the end too, but not for ever; what is there stays whole, and the folder can be copied later.
    store.before = fail
    with pytest.raises(OutputError) as failed:
        mirror.finish()
    assert str(failed.value) == f"the copy in {URL} is not complete: 500 InternalError"
    assert failed.value.hint == f"the run folder is kept; innereye-run resume {run.paths.root} finishes the copy"
    assert check(store, tmp_path) == 3
    assert verify(run.paths.root) == ()
    store.before = lambda name: None
    mirror_of(run, store).finish()
    assert store.files["outputs.json"] == run.paths.outputs_json.read_bytes()


def test_an_end_that_the_store_refuses_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, store = Run(tmp_path / "run"), Memory()
    mirror = mirror_of(run, store)
    run.epoch(1)
    monkeypatch.setattr(mirror_module, "PATIENCE_SECONDS", 3600.0)

    def refuse(name: str) -> None:
        raise RefusedByStoreError("403 AuthorizationFailure")

    store.before = refuse
    with pytest.raises(OutputError, match="403 AuthorizationFailure"):
        mirror.finish()


def test_a_slow_store_gets_the_newest_state_and_never_a_mixed_one(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    store = Memory(lambda name: time.sleep(0.01))
    mirror = mirror_of(run, store)
    mirror.start()
    epochs = []
    for number in range(1, 31):
        run.epoch(number, pause=0.01)
        if number % 5 == 0:
            snapshot = Memory()
            snapshot.files = dict(store.files)
            epochs.append(check(snapshot, tmp_path))
    mirror.finish()
    assert epochs == sorted(epochs)
    assert check(store, tmp_path) == 30


def test_a_folder_that_does_not_have_all_of_the_copy_is_refused(tmp_path: Path) -> None:
    store, here = Memory(), Run(tmp_path / "here" / "run")
    first = mirror_of(here, store)
    here.epoch(1)
    first._look()

    there = Run(tmp_path / "there" / "run")  # a run of the same name, of another machine
    with pytest.raises(UsageError, match="was written from another run folder") as refused:
        mirror_of(there, store)
    assert refused.value.hint == f"move this folder away and resume the copy: innereye-run resume {URL}"

    root = tmp_path / "elsewhere" / "run"
    found = restore(root, store)
    MirrorState.new(URL).restored_from(found.index).write(RunPaths(root))
    elsewhere = Run(root)
    second = mirror_of(elsewhere, store)  # it has what is there
    elsewhere.epoch(2)
    second._look()
    with pytest.raises(UsageError, match="does not have what is there"):
        mirror_of(here, store)
    mirror_of(elsewhere, store)  # the same folder, another process
    assert check(store, tmp_path) == 2


def test_a_view_is_of_one_moment_also_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "run")
    run.epoch(1)
    view = LinkedView(run.paths.root)
    view.begin()
    assert view.refresh()
    run.epoch(2)
    assert RunPaths(view.folder).last_checkpoint.read_text() == "1"
    (run.paths.checkpoints / ".best.ckpt.pending").touch()
    assert not view.refresh(), "a checkpoint is being saved"
    (run.paths.checkpoints / ".best.ckpt.pending").unlink()
    assert view.refresh()
    assert RunPaths(view.folder).last_checkpoint.read_text() == "2"
    assert not RunPaths(view.folder).partial_checkpoint.exists()

    link, replaced = os.link, list[str]()

    def replace_first(source: Path, target: Path) -> None:
        if source.name == "last.ckpt" and not replaced:
            replaced.append("once")
            run.replace(source, "2")  # after it was listed
        link(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", replace_first)
        run.epoch(2)
        assert view.refresh()
    assert replaced
    assert sorted(path.name for path in view.folder.rglob("*ckpt*")) == ["best.ckpt", "last.ckpt"]

    def no_links(*arguments: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    run.epoch(3)
    assert view.refresh()
    run.epoch(4)
    assert (view.folder / "checkpoints" / "last.ckpt").read_text() == "3"
    assert view.refresh(ended=True)
    shown = {path.relative_to(view.folder): path.read_bytes() for path in view.folder.rglob("*") if path.is_file()}
    there = {path.relative_to(run.paths.root) for path in run.paths.root.rglob("*") if path.is_file()}
    assert shown == {path: (run.paths.root / path).read_bytes() for path in there}


def test_a_folder_that_is_gone_at_the_end_is_an_error(tmp_path: Path) -> None:
    run, store = Run(tmp_path / "run"), Memory()
    mirror = mirror_of(run, store)
    run.epoch(1)
    mirror._look()
    run.paths.root.rename(tmp_path / "moved")
    with pytest.raises(OutputError, match=r"something still writes to .*run, or it is gone"):
        mirror.finish()
    assert check(store, tmp_path) == 1


def test_a_folder_that_is_removed_while_it_is_copied_leaves_the_copy_as_it_was(tmp_path: Path) -> None:
    class Removing(Memory):
        removes = threading.Semaphore(0)

        def write(self, name: str, source: Path, advanced: Callable[[int], None]) -> tuple[int, str]:
            if self.removes.acquire(blocking=False):  # the first of several files
                shutil.rmtree(run.paths.root)
                mirror.close()
            return super().write(name, source, advanced)

    run, store = Run(tmp_path / "run"), Removing()
    mirror = mirror_of(run, store)
    run.epoch(1)
    mirror._look()
    run.epoch(2)
    complete(run)
    store.removes.release()
    with pytest.raises(OutputError, match="or it is gone"):
        mirror.finish()
    assert check(store, tmp_path) == 1


def test_a_run_that_changes_faster_than_it_is_fetched_is_an_error_and_no_endless_round(tmp_path: Path) -> None:
    class Changing(Memory):
        def copy_out(self, name: str, target: Path) -> None:
            asked.append(name)
            assert len(asked) < 200
            run.epoch(len(asked) + 1)
            stager_of_run.save()
            super().copy_out(name, target)

    run, store, asked = Run(tmp_path / "run"), Changing(), list[str]()
    stager_of_run = stager.Stager(run.paths.root, store)
    stager_of_run.open()
    run.epoch(1)
    stager_of_run.save()
    with pytest.raises(StoreError, match="changes faster than it can be fetched"):
        restore(tmp_path / "restored", store)
