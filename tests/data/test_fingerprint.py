from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from innereye_runtime.data.fingerprint import fingerprint as module
from innereye_runtime.data.fingerprint import stat_cache
from innereye_runtime.data.fingerprint.fingerprint import Fingerprint, combine, fingerprint
from innereye_runtime.data.fingerprint.hashing import BLOCK, content_digest
from innereye_runtime.errors import DataError


def by_the_book(files: dict[bytes, bytes]) -> str:
    """The fingerprint, from the words of the module's docstring alone."""
    text = b"innereye-dataset-1\n"
    for name in sorted(files):
        content = files[name]
        blocks = b"".join(sha256(content[at : at + BLOCK]).digest() for at in range(0, len(content), BLOCK))
        text += len(name).to_bytes(8, "big") + name + len(content).to_bytes(8, "big") + sha256(blocks).digest()
    return sha256(text).hexdigest()


def settle(root: Path) -> None:
    """Waits until no file of `root` is so young that the cache leaves it out."""
    newest = max(path.stat().st_ctime for path in root.rglob("*"))
    time.sleep(max(0.0, newest + 0.15 - time.time()))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    names: list[str] = []
    read = module._read_part

    def counted(root: Path, file: stat_cache.TreeFile, first: int) -> bytes:
        names.append(file.name)
        return read(root, file, first)

    monkeypatch.setattr(module, "_read_part", counted)
    return names


def test_is_what_its_docstring_says(dataset: Path) -> None:
    (dataset / "large").write_bytes(os.urandom(BLOCK + 1))
    names = ["scans/one.nii", "scans/two.nii", "empty.csv", "large"]
    files = {name.encode(): (dataset / name).read_bytes() for name in names}
    assert fingerprint(dataset) == Fingerprint(by_the_book(files), 4, 6000 + BLOCK + 1)


def test_golden_value(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_bytes(b"abc")
    found = fingerprint(tmp_path / "a")
    # printf 'innereye-dataset-1\n\0\0\0\0\0\0\0\5b.txt\0\0\0\0\0\0\0\3' and sha256(sha256('abc')), through sha256sum
    assert found.sha256 == "c52e4fffa6e94f7eef903762070746dd11bbe06fd48ee8d989ebf6025877acfb"


def test_a_copy_with_other_times_modes_and_empty_folders_is_equal(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in ["empty.csv", "scans/two.nii", "scans/one.nii"]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(dataset / name, copy / name)
        os.utime(copy / name, (1, 1))
    (copy / "scans").chmod(0o700)
    (copy / "nothing" / "in it").mkdir(parents=True)
    assert fingerprint(copy) == fingerprint(dataset)


def test_the_order_of_the_files_makes_no_difference() -> None:
    files = [("b", 1, "00" * 32), ("a/c", 2, "11" * 32), ("a", 3, "22" * 32)]
    assert combine(files) == combine(reversed(files))


@pytest.mark.parametrize("change", ["content", "name", "size", "one more", "one less", "moved between files"])
def test_any_change_is_seen(dataset: Path, change: str) -> None:
    before = fingerprint(dataset)
    one = dataset / "scans" / "one.nii"
    match change:
        case "content":
            one.write_bytes(b"oNe" * 1000)
        case "name":
            one.rename(one.with_name("One.nii"))
        case "size":
            one.write_bytes(b"one" * 1000 + b"\0")
        case "one more":
            (dataset / "scans" / "three.nii").touch()
        case "one less":
            (dataset / "empty.csv").unlink()
        case "moved between files":
            (dataset / "scans" / "two.nii").write_bytes(b"one" * 1000)
            one.write_bytes(b"two" * 1000)
    assert fingerprint(dataset).sha256 != before.sha256


def test_the_second_time_nothing_is_read(dataset: Path, reads: list[str]) -> None:
    settle(dataset)
    first = fingerprint(dataset)
    assert sorted(reads) == ["empty.csv", "scans/one.nii", "scans/two.nii"]
    reads.clear()
    assert fingerprint(dataset) == first
    assert reads == []


def test_the_second_time_costs_no_more_than_a_stat_each(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(dataset)
    first = fingerprint(dataset)
    monkeypatch.setattr(
        stat_cache.CacheEntry, "digests", lambda self: pytest.fail("what is known of each file was read")
    )
    assert fingerprint(dataset) == first


def test_only_the_changed_file_is_read_again(dataset: Path, reads: list[str]) -> None:
    settle(dataset)
    fingerprint(dataset)
    reads.clear()
    two = dataset / "scans" / "two.nii"
    before = two.stat()
    two.write_bytes(b"TWO" * 1000)
    os.utime(two, ns=(before.st_atime_ns, before.st_mtime_ns))  # ctime tells all the same
    changed = fingerprint(dataset)
    assert reads == ["scans/two.nii"]
    contents = {name: (dataset / name).read_bytes() for name in ["scans/one.nii", "scans/two.nii", "empty.csv"]}
    assert changed.sha256 == by_the_book({name.encode(): content for name, content in contents.items()})


def test_a_change_within_one_tick_of_the_clock_is_seen(tmp_path: Path) -> None:
    """A second write of one size right after the first reading; on most kernels many leave an equal stat."""
    file = tmp_path / "d" / "file"
    file.parent.mkdir()
    for attempt in range(100):
        file.write_text(f"old {attempt:3}")
        before = fingerprint(file.parent)
        file.write_text(f"new {attempt:3}")
        assert fingerprint(file.parent) != before


def test_whole_seconds_are_held_for_a_coarse_clock(dataset: Path, cache_home: Path) -> None:
    second = 1_000_000_000
    files = [stat_cache.TreeFile("old", 1, 0, 10 * second, 1), stat_cache.TreeFile("young", 1, 0, 11 * second, 2)]
    digests = {"old": "00" * 32, "young": "11" * 32}
    stat_cache.put(dataset, files, digests, {}, started=12 * second + 500_000_000)
    known = stat_cache.get(dataset)
    assert known is not None
    assert known.stamp == ""
    assert known.digests() == {files[0]: "00" * 32}


def test_the_ranks_of_a_job_read_it_once(dataset: Path, reads: list[str]) -> None:
    settle(dataset)
    found: list[Fingerprint] = []
    ranks = [threading.Thread(target=lambda: found.append(fingerprint(dataset))) for _ in range(4)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(20)
    assert len(set(found)) == 1
    assert len(found) == 4
    assert len(reads) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', "\0" * 100])
def test_a_damaged_cache_is_no_cache(dataset: Path, cache_home: Path, text: str) -> None:
    settle(dataset)
    first = fingerprint(dataset)
    (place,) = (cache_home / "fingerprints").iterdir()
    place.write_text(text)
    assert fingerprint(dataset) == first
    place.write_text(place.read_text().splitlines()[0].replace('"stamp": "', '"stamp": "x') + "\n" + text)
    assert fingerprint(dataset) == first


def test_a_cache_that_cannot_be_written_is_no_error(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    assert fingerprint(dataset) == fingerprint(dataset)


def test_a_sparse_file_of_5_gb_costs_nothing(tmp_path: Path) -> None:
    root = tmp_path / "sparse"
    root.mkdir()
    with (root / "sparse.raw").open("wb") as file:
        file.truncate(5 * 10**9)
        file.seek(3 * 10**9)
        file.write(b"here")
    start = time.process_time()
    found = fingerprint(root)
    used = time.process_time() - start
    assert found.bytes == 5 * 10**9
    assert (root / "sparse.raw").stat().st_blocks * 512 < 10**6
    assert used < 2, "the holes were read: 5 GB of SHA-256 take over two seconds"
    whole = [sha256(bytes(BLOCK)).digest()] * (5 * 10**9 // BLOCK)
    block, at = divmod(3 * 10**9, BLOCK)
    whole[block] = sha256(bytes(at) + b"here" + bytes(BLOCK - at - 4)).digest()
    whole.append(sha256(bytes(5 * 10**9 % BLOCK)).digest())
    assert found == combine([("sparse.raw", 5 * 10**9, content_digest(whole))])


def test_a_file_that_changes_while_it_is_read_is_an_error(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = module.block_digests

    def disturbed(descriptor: int, size: int, first: int, count: int) -> bytes:
        with (dataset / "empty.csv").open("a") as file:
            file.write("late")
        return read(descriptor, size, first, count)

    monkeypatch.setattr(module, "block_digests", disturbed)
    with pytest.raises(DataError, match=r"empty\.csv changed while it was read"):
        fingerprint(dataset)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = [file._replace(size=file.size + 1) for file in module.walk(dataset)]
    monkeypatch.setattr(module, "walk", lambda root: stats)
    with pytest.raises(DataError, match="changed while it was read"):
        fingerprint(dataset)


class Recorded:
    """What a progress was told."""

    def __init__(self, told: list[tuple[int, int]]) -> None:
        self.told = told

    def begin(self, what: str, files: int, size: int) -> None:
        self.begun = (files, size)

    def advance(self, files: int, size: int) -> None:
        self.told.append((files, size))


@pytest.mark.parametrize("remembered", [False, True])
def test_progress_tells_of_every_file_and_byte(dataset: Path, remembered: bool) -> None:
    settle(dataset)
    if remembered:
        fingerprint(dataset)
        (dataset / "new").write_text("new")
    told: list[tuple[int, int]] = []
    found = fingerprint(dataset, progress=Recorded(told))
    assert (sum(files for files, _ in told), sum(size for _, size in told)) == (found.files, found.bytes)


def test_on_a_full_disk_nothing_is_remembered_and_nothing_left_behind(
    dataset: Path, small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = small_disk("1m")
    monkeypatch.setenv("XDG_CACHE_HOME", str(disk))
    settle(dataset)
    first = fingerprint(dataset)
    (kept,) = (disk / "innereye-runtime" / "fingerprints").iterdir()
    with pytest.raises(OSError, match="No space"):
        (disk / "fills.bin").write_bytes(bytes(2 << 20))
    (dataset / "empty.csv").unlink()
    assert fingerprint(dataset) != first
    assert list(kept.parent.iterdir()) == [kept]
