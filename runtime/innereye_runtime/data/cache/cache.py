"""Datasets that were copied to this machine: shared by its runs and processes, within a size limit.

    <user's cache folder>/innereye-runtime/datasets/
      locks/<version>     held alone while the dataset is fetched or deleted, shared while a run uses it
      <version>/part/     what is not whole yet, with `journal` beside it
      <version>/data/     the dataset, its files read-only
      <version>/complete.json   written last; its time stamp is that of the last use

A version is a state of a source: when the source changes, another folder is filled, and runs that use the old one
keep it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from innereye_runtime.data.cache.download import disk_error, download
from innereye_runtime.data.cache.journal import boot_id
from innereye_runtime.data.cache.lock import Lock
from innereye_runtime.data.cache_dirs import cache_home, cache_limit, nearest_existing_parent
from innereye_runtime.data.fingerprint import stat_cache
from innereye_runtime.data.fingerprint.fingerprint import Fingerprint, combine, fingerprint
from innereye_runtime.data.fingerprint.tree import walk
from innereye_runtime.data.progress import Progress, format_size
from innereye_runtime.data.sources.source import FileEntry, Source, snapshot_id
from innereye_runtime.errors import DataError, PreflightError

log = logging.getLogger("innereye_runtime")

_MARKER = "complete.json"
_FILE_OVERHEAD = 4096
"""What a file costs on disk beside its bytes, for the estimate of what a download needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A dataset in the cache, whole or not."""

    version: str
    source: str
    fingerprint: Fingerprint | None
    """None where it is not whole."""
    size: int
    """Bytes on disk."""
    used: float
    """Seconds since the epoch."""
    path: Path

    def describe(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "path": str(self.path / "data"),
            "sha256": self.fingerprint.sha256 if self.fingerprint else None,
            "size": self.size,
            "used": datetime.fromtimestamp(self.used, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedCopy:
    """A dataset in the cache that stays there until `lock` is released."""

    path: Path
    fingerprint: Fingerprint
    seconds: float
    """What fetching took; 0 where it was there."""
    lock: Lock


class Cache:
    def __init__(self, root: Path | None = None, *, limit: int | None = None) -> None:
        # With no link in it: what is remembered of its files (`stat_cache`) goes by the path of their folder.
        self.root = (root or cache_home() / "datasets").resolve()
        self._limit = limit

    def get_or_fetch(self, source: Source, items: Sequence[FileEntry], progress: Progress) -> CachedCopy:
        """The items as a folder of this machine: the one in the cache, or else fetched now. Waits while another process
        fetches it.

        Raises:
            PreflightError: it does not fit the disk or the limit.
            DataError: the source fails, or the cache can't be written.
            ChangedError: an item changed since it was listed.
        """
        place = self.root / snapshot_id(source, items)

        def waiting() -> None:
            log.info("waiting for another process, which fetches or uses %s", source.url)

        while True:
            try:
                lock = Lock.shared(self._lock(place), waiting=waiting)
            except OSError as error:
                raise disk_error(error, self.root, 0) from error
            if (found := _read_if_complete(place)) is not None:
                os.utime(place / _MARKER)
                return CachedCopy(path=place / "data", fingerprint=found, seconds=0.0, lock=lock)
            lock.release()
            alone = Lock.exclusive(self._lock(place), waiting=waiting)
            assert alone is not None
            try:
                if _read_if_complete(place) is not None:
                    continue
                started = time.monotonic()
                found = self._fetch(source, items, place, progress)
                seconds = time.monotonic() - started
                alone.downgrade()
                if (place / _MARKER).exists():
                    return CachedCopy(path=place / "data", fingerprint=found, seconds=seconds, lock=alone.transfer())
            finally:
                alone.release()

    def contains(self, source: Source, items: Sequence[FileEntry]) -> bool:
        """Whether the cache has these items, whole."""
        return (self.root / snapshot_id(source, items) / _MARKER).exists()

    def free_space(self) -> int:
        """How many bytes a new dataset may have: within the limit, and with what could be deleted for it."""
        deletable = sum(entry.size for entry in self.entries())
        return min(self.limit, shutil.disk_usage(nearest_existing_parent(self.root)).free + deletable)

    @property
    def limit(self) -> int:
        return cache_limit(self.root) if self._limit is None else self._limit

    def entries(self) -> list[Entry]:
        """What is in the cache, the last used first."""
        if not self.root.is_dir():
            return []
        places = [place for place in self.root.iterdir() if place.name != "locks"]
        return sorted((_describe(place) for place in places), key=lambda entry: -entry.used)

    def clear(self, older_than: float = 0.0) -> list[Entry]:
        """The entries that it deleted: all that no process uses and that were last used `older_than` seconds ago or
        more.
        """
        return list(self._delete(entry for entry in self.entries() if entry.used <= time.time() - older_than))

    def _fetch(self, source: Source, items: Sequence[FileEntry], place: Path, progress: Progress) -> Fingerprint:
        part, data = place / "part", place / "data"
        self._evict(source, items, place)
        try:
            part.mkdir(parents=True, exist_ok=True)
            (place / "source").write_text(source.url, encoding="utf-8", errors="surrogateescape")
            if data.exists():  # no marker, or one that told of other bytes
                shutil.rmtree(data)
            digests = download(source, items, part, progress)
            found = combine((item.name, item.size, digests[item.name]) for item in items)
            part.rename(data)
            (place / "journal").unlink()
            files = walk(data)
            if {(file.name, file.size) for file in files} != {(item.name, item.size) for item in items}:
                raise DataError(f"{data} does not hold the files of {source.url}", hint="innereye-run data cache clear")
            stat_cache.put(data, files, digests, _result(found), time.time_ns() + 10**10)
            _write_marker(place, found, source.url, verified=False)
        except OSError as error:
            raise disk_error(error, place, sum(item.size for item in items)) from error
        return found

    def check_room(self, source: Source, items: Sequence[FileEntry]) -> None:
        """Makes sure that the items would fit, with what is in the cache and unused deleted for them; deletes nothing.

        Raises:
            PreflightError: they would not.
        """
        need = _required_bytes(items)
        free = shutil.disk_usage(nearest_existing_parent(self.root)).free + sum(entry.size for entry in self.entries())
        self._require(source, need, kept=0, free=free)

    def _evict(self, source: Source, items: Sequence[FileEntry], place: Path) -> None:
        """Deletes what was unused for longest until the items fit.

        Raises:
            PreflightError: they do not fit all the same.
        """
        entries = self.entries()
        others = [entry for entry in entries if entry.path != place]
        need = _required_bytes(items) - sum(entry.size for entry in entries if entry.path == place)
        kept = sum(entry.size for entry in others)
        unused = self._delete(reversed(others))
        while kept + need > self.limit or need > shutil.disk_usage(nearest_existing_parent(self.root)).free:
            gone = next(unused, None)
            if gone is None:
                break
            log.info("deleted from the cache, to make room: %s (%s)", gone.source, format_size(gone.size))
            kept -= gone.size
        self._require(source, need, kept=kept, free=shutil.disk_usage(nearest_existing_parent(self.root)).free)

    def _require(self, source: Source, need: int, *, kept: int, free: int) -> None:
        if kept + need > self.limit:
            raise PreflightError(
                f"{source.url} needs {format_size(need)}, and the cache {self.root} may hold {format_size(self.limit)}"
                + (f", of which runs use {format_size(kept)}" if kept else ""),
                hint="raise INNEREYE_CACHE_LIMIT (as in 500g), or use mode: mount",
            )
        if need > free:
            raise PreflightError(
                f"{source.url} needs {format_size(need)} on the disk of {self.root}, and {format_size(free)} are free",
                hint="free some space, set XDG_CACHE_HOME to a folder on a larger disk, or use mode: mount",
            )

    def _delete(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        for entry in entries:
            lock = Lock.exclusive(self._lock(entry.path))
            if lock is None:
                continue  # in use
            try:
                (entry.path / _MARKER).unlink(missing_ok=True)
                shutil.rmtree(entry.path, ignore_errors=True)
                stat_cache.invalidate(entry.path / "data")
            finally:
                lock.remove()
            yield entry

    def _lock(self, place: Path) -> Path:
        return self.root / "locks" / place.name


def _read_if_complete(place: Path) -> Fingerprint | None:
    """The fingerprint of a dataset that is complete, and whose files are as they were written; else None."""
    try:
        marker = json.loads((place / _MARKER).read_text(encoding="utf-8"))
        promised = Fingerprint(marker["sha256"], marker["files"], marker["bytes"])
        # What was written may be lost where the machine went down before it was on disk: read it, once, after a boot.
        sure = marker["verified"] or (marker["boot"] and marker["boot"] == boot_id())
        if not sure:
            stat_cache.invalidate(place / "data")
        if fingerprint(place / "data") == promised:
            if not sure:
                with suppress(OSError):  # on a full disk; it is read once more the next time
                    _write_marker(place, promised, marker["source"], verified=True)
            return promised
    except (OSError, ValueError, KeyError, TypeError, DataError):
        pass
    if (place / _MARKER).exists():
        log.info("%s is not what it was when it was fetched: it is fetched again", place / "data")
        (place / _MARKER).unlink(missing_ok=True)  # another process may see the same
    return None


def _write_marker(place: Path, found: Fingerprint, source: str, *, verified: bool) -> None:
    marker: Mapping[str, Any] = {"source": source, **_result(found), "boot": boot_id(), "verified": verified}
    temporary = place / f".{_MARKER}.{os.getpid()}"
    temporary.write_text(json.dumps(marker), encoding="utf-8")
    temporary.replace(place / _MARKER)


def _required_bytes(items: Sequence[FileEntry]) -> int:
    return sum(item.size + _FILE_OVERHEAD for item in items)


def _result(found: Fingerprint) -> dict[str, Any]:
    return {"sha256": found.sha256, "files": found.files, "bytes": found.bytes}


def _describe(place: Path) -> Entry:
    found, source, used = None, "", 0.0
    try:
        source = (place / "source").read_text(encoding="utf-8", errors="surrogateescape")
        used = place.stat().st_mtime
        marker = json.loads((place / _MARKER).read_text(encoding="utf-8"))
        found = Fingerprint(marker["sha256"], marker["files"], marker["bytes"])
        used = (place / _MARKER).stat().st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        pass
    size = _on_disk(place) if found is None else found.bytes + _FILE_OVERHEAD * found.files
    return Entry(version=place.name, source=source, fingerprint=found, size=size, used=used, path=place)


def _on_disk(place: Path) -> int:
    """The bytes of the files below `place`, to which another process may add, and which it may take away."""
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{folder}/{name}").st_blocks * 512
    return total
