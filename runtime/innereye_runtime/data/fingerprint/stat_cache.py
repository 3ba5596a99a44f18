"""What is known of a folder's files from the last time that they were read, so that nothing is read twice.

An entry holds as long as size, mtime, ctime and inode of the file are the same. ctime can't be set by a program, so a
change that puts the mtime back is seen. A file that changed so shortly before it was read that another change could
carry the same time stamp is not remembered (git's "racy" entries): it is read again the next time.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path

from innereye_runtime.data.cache.lock import Lock
from innereye_runtime.data.cache_dirs import cache_home
from innereye_runtime.data.fingerprint.tree import TreeFile

_VERSION = 1
_SECOND = 1_000_000_000
_FINE, _COARSE = _SECOND // 10, 2 * _SECOND
"""The longest time in which two changes can carry one time stamp: a kernel tick (10 ms at most) with a margin, and
for file systems that count in seconds (or in two, FAT) their step.
"""
_KEEP_DAYS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """The result of the last reading, and for each file its content digest."""

    stamp: str
    """Of the stats of all files, in the order of the walk; "" where one of them may have changed unseen."""
    result: Mapping[str, object]
    path: Path

    def digests(self) -> dict[TreeFile, str]:
        """The content digest of each file that is remembered, by name and stat."""
        try:
            with self.path.open(encoding="ascii") as file:
                file.readline()
                return {TreeFile(*entry[:5]): entry[5] for entry in json.loads(file.readline())}
        except (OSError, ValueError, TypeError, IndexError):
            return {}


def stat_key(files: Sequence[TreeFile]) -> str:
    """A digest of names and stats."""
    text = "\0".join([f"{name}\0{size} {mtime} {ctime} {inode}" for name, size, mtime, ctime, inode in files])
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def get(root: Path) -> CacheEntry | None:
    """What is remembered of the folder `root`; None where that is nothing, or nothing that this version can read."""
    path = _place(root)
    try:
        with path.open(encoding="ascii") as file:
            header = json.loads(file.readline())
        if header["version"] != _VERSION or header["root"] != os.fspath(root):
            return None
        return CacheEntry(stamp=header["stamp"], result=header["result"], path=path)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def put(
    root: Path, files: Sequence[TreeFile], digests: Mapping[str, str], result: Mapping[str, object], started: int
) -> None:
    """Keeps the content digests of `files`, whose reading began at `started` (ns since the epoch). No failure is an
    error: where the cache can't be written, the files are read again the next time.
    """
    settled = [file for file in files if file.ctime_ns + (_FINE if file.ctime_ns % _SECOND else _COARSE) < started]
    header = {
        "version": _VERSION,
        "root": os.fspath(root),
        "stamp": stat_key(files) if len(settled) == len(files) else "",
        "result": result,
    }
    entries = [(*file, digests[file.name]) for file in settled]
    path = _place(root)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _drop_old(path.parent)
        with temporary.open("w", encoding="ascii") as file:
            file.write(json.dumps(header) + "\n" + json.dumps(entries) + "\n")
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def single_reader(root: Path) -> Iterator[None]:
    """Lets one process at a time read the folder, so that the ranks of a job on one machine read it once: the others
    find what the first remembered. Where the cache can't be written, all go ahead.
    """
    try:
        lock = Lock.exclusive(_place(root).with_suffix(".lock"), waiting=lambda: None)
    except OSError:
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.remove()


def invalidate(root: Path) -> None:
    """Drops what is remembered of the folder `root`."""
    with suppress(OSError):
        _place(root).unlink()


def _place(root: Path) -> Path:
    return cache_home() / "fingerprints" / sha256(os.fsencode(root)).hexdigest()[:32]


def _drop_old(folder: Path) -> None:
    oldest = time.time() - _KEEP_DAYS * 86400
    for path in folder.iterdir():
        if path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
