from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.data.counted import Counted, get_or_fetch

from innereye_runtime.data.cache import cache as module
from innereye_runtime.data.cache import journal
from innereye_runtime.data.cache.cache import Cache
from innereye_runtime.data.cache.download import download
from innereye_runtime.data.cache.lock import Lock
from innereye_runtime.data.cache_dirs import cache_limit
from innereye_runtime.data.fingerprint import fingerprint as fingerprints
from innereye_runtime.data.fingerprint.fingerprint import fingerprint
from innereye_runtime.data.fingerprint.hashing import BLOCK
from innereye_runtime.data.fingerprint.tree import TreeFile
from innereye_runtime.data.progress import NullProgress
from innereye_runtime.data.sources.source import Buffer, FileEntry, FolderSource, SourceChangedError
from innereye_runtime.errors import PreflightError, UsageError


def make(root: Path, size: int = 1000) -> Counted:
    root.mkdir()
    (root / "file").write_bytes(os.urandom(size))
    return Counted(root)


def test_what_is_copied_is_equal_and_has_the_same_fingerprint(dataset: Path) -> None:
    copy = get_or_fetch(FolderSource(dataset))
    assert copy.fingerprint == fingerprint(dataset) == fingerprint(copy.path)
    assert sorted(path.name for path in copy.path.parent.iterdir()) == ["complete.json", "data", "source"]


def test_an_empty_folder_is_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert get_or_fetch(FolderSource(tmp_path / "nothing")).fingerprint.files == 0


def test_the_second_time_nothing_is_read(dataset: Path) -> None:
    source = Counted(dataset)
    first = get_or_fetch(source)
    source.reads.clear()
    assert get_or_fetch(source).path == first.path
    assert source.reads == []


def test_another_state_of_the_source_is_another_folder(dataset: Path) -> None:
    first = get_or_fetch(FolderSource(dataset))
    (dataset / "scans" / "one.nii").write_bytes(b"new")
    second = get_or_fetch(FolderSource(dataset))
    assert second.path != first.path
    assert (first.path / "scans" / "one.nii").read_bytes() == b"one" * 1000
    assert (second.path / "scans" / "one.nii").read_bytes() == b"new"


@pytest.mark.parametrize("damage", ["content", "missing", "more", "all", "marker"])
def test_a_damaged_copy_is_fetched_again(dataset: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source = Counted(dataset)
    copy = get_or_fetch(source)
    one = copy.path / "scans" / "one.nii"
    match damage:
        case "content":
            one.chmod(0o644)
            one.write_bytes(b"eno" * 1000)
        case "missing":
            one.unlink()
        case "more":
            (copy.path / "more").touch()
        case "all":
            shutil.rmtree(copy.path)
        case "marker":
            (copy.path.parent / "complete.json").write_text("{")
    again = get_or_fetch(source)
    assert fingerprint(again.path) == copy.fingerprint
    assert one.read_bytes() == b"one" * 1000
    assert "it is fetched again" in caplog.text


def test_after_a_boot_the_files_are_read_once(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may have gone down before they were on disk; stat alone would not tell."""
    copy = get_or_fetch(FolderSource(dataset))
    read: list[Path] = []
    whole = module.fingerprint
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    monkeypatch.setattr(module.stat_cache, "invalidate", lambda root: read.append(root))
    for _ in range(3):
        assert get_or_fetch(FolderSource(dataset)).seconds == 0
    assert read == [copy.path]
    assert whole(copy.path) == copy.fingerprint


def test_a_torn_journal_counts_as_far_as_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    with closing(journal.Journal.open(path)) as first:
        first.add([("a\nb", 0, b"\1" * 32), ("c", 1, b"\2" * 32)])
    path.write_text(path.read_text()[:-9])
    with closing(journal.Journal.open(path)) as again:
        assert again.done == {("a\nb", 0): b"\1" * 32}
        again.add([("d", 0, b"\3" * 32)])
    with closing(journal.Journal.open(path)) as third:
        assert third.done == {("a\nb", 0): b"\1" * 32, ("d", 0): b"\3" * 32}
    monkeypatch.setattr(journal, "boot_id", lambda: "another boot")
    with closing(journal.Journal.open(path)) as booted:
        assert booted.done == {}


def test_a_file_that_changes_between_list_and_read_is_told(dataset: Path) -> None:
    source = FolderSource(dataset)
    items = source.list()
    (dataset / "scans" / "one.nii").write_bytes(b"eno" * 1000)
    with pytest.raises(SourceChangedError):
        Cache().get_or_fetch(source, items, NullProgress())


def test_two_threads_fetch_it_once(dataset: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started, go = threading.Event(), threading.Event()

    class Held(Counted):
        def read(self, item: FileEntry, start: int, length: int) -> Buffer:
            started.set()
            assert go.wait(20)
            return super().read(item, start, length)

    source, copies = Held(dataset), []
    threads = [threading.Thread(target=lambda: copies.append(get_or_fetch(source))) for _ in range(2)]
    threads[0].start()
    assert started.wait(20)
    threads[1].start()
    deadline = time.monotonic() + 20
    while "waiting for another process" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    go.set()
    for thread in threads:
        thread.join(20)
    assert copies[0].path == copies[1].path
    assert sorted(source.reads) == ["scans/one.nii", "scans/two.nii"], "an empty file needs no read"


def test_what_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    sources = [make(tmp_path / name, 100_000) for name in "abc"]
    cache = Cache(limit=250_000)
    for at, source in enumerate(sources[:2]):
        marker = get_or_fetch(source, cache=cache).path.parent / "complete.json"
        os.utime(marker, (1000 + at, 1000 + at))
    get_or_fetch(sources[0], cache=cache)  # used now
    get_or_fetch(sources[2], cache=cache)
    assert {Path(entry.source).name for entry in cache.entries()} == {"a", "c"}


def test_what_a_run_uses_is_never_deleted(tmp_path: Path) -> None:
    used, other = make(tmp_path / "used", 100_000), make(tmp_path / "other", 100_000)
    cache = Cache(limit=150_000)
    copy = cache.get_or_fetch(used, used.list(), NullProgress())
    with pytest.raises(PreflightError, match="of which runs use 104 kB") as raised:
        get_or_fetch(other, cache=cache)
    assert raised.value.exit_code == 3
    assert "INNEREYE_CACHE_LIMIT" in raised.value.hint
    assert cache.clear() == []
    assert (copy.path / "file").exists()
    copy.lock.release()
    get_or_fetch(other, cache=cache)
    assert not copy.path.exists()


def test_clear_deletes_what_is_whole_and_what_is_not(tmp_path: Path) -> None:
    cache = Cache()
    get_or_fetch(make(tmp_path / "whole"), cache=cache)
    broken = make(tmp_path / "broken")
    items = broken.list()
    (tmp_path / "broken" / "file").unlink()
    with pytest.raises(SourceChangedError):
        cache.get_or_fetch(broken, items, NullProgress())
    assert sorted(entry.fingerprint is None for entry in cache.entries()) == [False, True]
    assert len(cache.clear()) == 2
    assert cache.entries() == []
    assert sorted(path.name for path in cache.root.iterdir()) == ["locks"]
    assert list((cache.root / "locks").iterdir()) == []


def test_more_than_the_limit_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    source = make(tmp_path / "large", 10_000)
    with pytest.raises(PreflightError, match=r"needs 14\.1 kB, and the cache .* may hold 5 kB"):
        get_or_fetch(source, cache=Cache(limit=5000))
    assert source.reads == []


def test_more_than_the_disk_has_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make(tmp_path / "large", 10_000)

    class Usage:
        free = 9000

    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(PreflightError, match=r"needs 14\.1 kB on the disk of .*, and 9 kB are free") as raised:
        get_or_fetch(source, cache=Cache(limit=10**9))
    assert "XDG_CACHE_HOME" in raised.value.hint
    assert source.reads == []


@pytest.mark.parametrize(("text", "size"), [("1000", 1000), ("2k", 2048), ("1.5 GB", 3 << 29), ("500g", 500 << 30)])
def test_the_limit_is_a_size(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("INNEREYE_CACHE_LIMIT", text)
    assert cache_limit(Path("/")) == size


def test_a_limit_that_is_no_size_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNEREYE_CACHE_LIMIT", "much")
    with pytest.raises(UsageError, match="INNEREYE_CACHE_LIMIT: 'much' is not a size"):
        cache_limit(Path("/"))


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    script = (
        "import sys; from pathlib import Path; from innereye_runtime.data.cache.lock import Lock\n"
        "lock = Lock.exclusive(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert Lock.exclusive(path) is None
        process.kill()
        process.wait()
        lock = Lock.exclusive(path)
        assert lock is not None
        lock.release()


def test_a_lock_whose_file_was_deleted_is_taken_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = Lock.exclusive(path)
    assert first is not None
    taken: list[Lock | None] = []
    waiting = threading.Event()
    thread = threading.Thread(target=lambda: taken.append(Lock.exclusive(path, waiting=waiting.set)))
    thread.start()
    assert waiting.wait(20)
    first.remove()
    thread.join(20)
    assert taken[0] is not None
    assert Lock.exclusive(path) is None, "the lock that was waited for guards the file that is there now"
    taken[0].release()


def test_a_disk_that_fills_while_fetching_is_an_error_and_what_is_there_is_kept(
    tmp_path: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("2m")
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
    root = tmp_path / "large"
    root.mkdir()
    for number in range(40):
        (root / f"{number:02}").write_bytes(os.urandom(100_000))
    monkeypatch.setattr(Cache, "_evict", lambda self, source, items, place: None)  # others fill the disk meanwhile
    source = Counted(root)
    with pytest.raises(PreflightError, match=r"disk full: 4 MB go to .*, and [\d.]+ k?B are free") as raised:
        get_or_fetch(source)
    assert raised.value.exit_code == 3
    assert not list(disk.rglob("complete.json"))
    assert not list(disk.rglob("data"))
    subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
    source.reads.clear()
    assert get_or_fetch(source).fingerprint == fingerprint(root)
    assert len(source.reads) < 40


def test_the_marker_says_where_the_dataset_is_from(dataset: Path) -> None:
    copy = get_or_fetch(FolderSource(dataset))
    marker = json.loads((copy.path.parent / "complete.json").read_text())
    assert marker["source"] == str(dataset)
    assert marker["sha256"] == copy.fingerprint.sha256
    (entry,) = Cache().entries()
    said = entry.describe()
    assert said == {
        "source": str(dataset),
        "path": str(copy.path),
        "sha256": copy.fingerprint.sha256,
        "size": 6000 + 3 * 4096,
        "used": said["used"],
    }
    assert abs(datetime.fromisoformat(said["used"]).timestamp() - time.time()) < 60


def test_clear_keeps_what_was_used_lately(tmp_path: Path) -> None:
    cache = Cache()
    get_or_fetch(make(tmp_path / "new"), cache=cache)
    marker = get_or_fetch(make(tmp_path / "old"), cache=cache).path.parent / "complete.json"
    os.utime(marker, (time.time() - 7200, time.time() - 7200))
    assert [Path(entry.source).name for entry in cache.clear(3600)] == ["old"]
    assert [Path(entry.source).name for entry in cache.entries()] == ["new"]


def test_what_is_unused_makes_room_on_a_full_disk(
    tmp_path: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk("2m")))
    cache = Cache(limit=10**9)
    first = get_or_fetch(make(tmp_path / "first", 1_200_000), cache=cache)
    second = get_or_fetch(make(tmp_path / "second", 1_200_000), cache=cache)
    assert not first.path.exists()
    assert second.path.exists()


def test_what_was_fetched_is_shared_while_it_is_used(dataset: Path) -> None:
    source = FolderSource(dataset)
    first = Cache().get_or_fetch(source, source.list(), NullProgress())
    lock = Cache().root / "locks" / first.path.parent.name
    Lock.shared(lock, waiting=lambda: pytest.fail("it is held alone")).release()
    first.lock.release()
    first.lock.release()  # a second time it does nothing
    alone = Lock.exclusive(lock)
    assert alone is not None
    alone.release()


def test_without_a_boot_id_nothing_of_an_earlier_try_is_believed(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_text

    def without_proc(path: Path, **named: Any) -> str:
        if path.is_relative_to("/proc"):
            raise FileNotFoundError(path)
        return read(path, **named)

    monkeypatch.setattr(Path, "read_text", without_proc)
    assert journal.boot_id() == ""
    for _ in range(2):
        with closing(journal.Journal.open(tmp_path / "journal")) as opened:
            assert opened.done == {}
            opened.add([("a", 0, b"\1" * 32)])
    assert get_or_fetch(FolderSource(dataset)).seconds > 0
    assert get_or_fetch(FolderSource(dataset)).seconds == 0


def test_a_cache_behind_a_link_is_read_once_too(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/.cache` is often one, to a larger disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "link"))
    read: list[str] = []
    part = fingerprints._read_part

    def counted(root: Path, file: TreeFile, first: int) -> bytes:
        read.append(file.name)
        return part(root, file, first)

    monkeypatch.setattr(fingerprints, "_read_part", counted)
    get_or_fetch(FolderSource(dataset))
    get_or_fetch(FolderSource(dataset))
    assert read == []
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    get_or_fetch(FolderSource(dataset))
    assert sorted(read) == ["empty.csv", "scans/one.nii", "scans/two.nii"]


def test_what_the_journal_says_of_a_file_that_went_away_is_not_believed_later(tmp_path: Path) -> None:
    """Killed after the whole download, but before it was the dataset; and once more, while it is fetched again."""
    root = tmp_path / "large"
    root.mkdir()
    (root / "file").write_bytes(os.urandom(3 * BLOCK))
    source = Counted(root)
    (item,) = source.list()
    part = tmp_path / "place" / "part"
    whole = download(source, [item], part, NullProgress())
    shutil.rmtree(part)
    part.mkdir()

    class Killed(Counted):
        def read(self, item: FileEntry, start: int, length: int) -> Buffer:
            if start:
                raise KeyboardInterrupt
            return super().read(item, start, length)

    with pytest.raises(KeyboardInterrupt):
        download(Killed(root), [item], part, NullProgress())
    source.reads.clear()
    assert download(source, [item], part, NullProgress()) == whole
    assert len(source.reads) == 2, "the block that came before the kill is kept"
    assert (part / "file").read_bytes() == (root / "file").read_bytes()


def test_another_process_may_finish_while_the_cache_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Cache().root / "version" / "part"
    for name in "abc":
        (part / name).mkdir(parents=True)
        (part / name / "file").write_bytes(b"content")
    scandir = os.scandir

    def renamed_meanwhile(path: Any = ".") -> Any:
        found = scandir(path)
        if isinstance(path, str | Path) and Path(path) == part:
            part.rename(part.with_name("data"))
        return found

    monkeypatch.setattr(os, "scandir", renamed_meanwhile)
    (entry,) = Cache().entries()
    assert entry.fingerprint is None
    assert not part.exists()


def test_after_a_boot_a_full_disk_costs_no_dataset(
    dataset: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("2m")
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
    source = Counted(dataset)
    first = get_or_fetch(source)
    source.reads.clear()
    monkeypatch.setattr(module, "boot_id", lambda: "another boot")
    with pytest.raises(OSError, match="No space"):
        (disk / "fills.bin").write_bytes(bytes(3 << 20))
    assert get_or_fetch(source).fingerprint == first.fingerprint
    assert source.reads == []


def test_another_process_may_find_the_same_damage(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = get_or_fetch(FolderSource(dataset))
    (copy.path / "empty.csv").unlink()
    marker = copy.path.parent / "complete.json"
    monkeypatch.setattr(module.log, "info", lambda *said: marker.unlink(missing_ok=True))  # it is a little faster
    assert get_or_fetch(FolderSource(dataset)).fingerprint == copy.fingerprint


def test_a_disk_that_is_full_before_the_cache_is_there_is_an_error(
    dataset: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("1m,nr_inodes=2")
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
    (disk / "the last file").touch()
    with pytest.raises(PreflightError, match="disk full"):
        get_or_fetch(FolderSource(dataset))
