"""From a source to a folder: in parallel, hashed as the bytes come, going on where an earlier try ended.

The folder is nobody's dataset yet: who calls this renames it when it is whole (`cache`).
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from innereye_runtime.data.cache.journal import TOMBSTONE, Journal
from innereye_runtime.data.cache_dirs import nearest_existing_parent
from innereye_runtime.data.fingerprint.hashing import BLOCK, blocks_of, content_digest, parallel
from innereye_runtime.data.progress import Progress, format_size
from innereye_runtime.data.sources.source import FileEntry, Source
from innereye_runtime.errors import DataError, InnerEyeError, PreflightError

WORKERS = 8
"""Blocks of 8 MiB in flight: 64 MiB of memory, and enough of them to hide the way to a store."""
_UNFINISHED, _READ_ONLY = 0o644, 0o444


def download(source: Source, items: Sequence[FileEntry], folder: Path, progress: Progress) -> dict[str, str]:
    """The content digest of each item, now a file below `folder`, of the size and version that was listed.

    Raises:
        DataError: the source fails, or the folder can't be written.
        PreflightError: the disk is full.
        ChangedError: an item changed since it was listed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        journal = Journal.open(folder.with_name("journal"))
        try:
            return _Download(source, folder, journal, progress).run(items)
        finally:
            journal.close()
    except OSError as error:
        raise disk_error(error, folder, sum(item.size for item in items)) from error


def disk_error(error: OSError, folder: Path, size: int) -> InnerEyeError:
    """What `error`, met while `size` bytes go to `folder`, means to the user."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = format_size(shutil.disk_usage(nearest_existing_parent(folder)).free)
        return PreflightError(
            f"disk full: {format_size(size)} go to {folder}, and {free} are free",
            hint="free some space and start again: what is there already is kept. "
            "Or set XDG_CACHE_HOME to a folder on a larger disk",
        )
    return DataError(f"{error.filename or folder} can't be written: {error.strerror or error}")


class _Download:
    def __init__(self, source: Source, folder: Path, journal: Journal, progress: Progress) -> None:
        self._source, self._folder, self._journal, self._progress = source, folder, journal, progress
        self._prefix = f"{folder}/"

    def run(self, items: Sequence[FileEntry]) -> dict[str, str]:
        done = self._drop_vanished(items)
        self._make_folders(items)
        self._progress.begin(f"fetching {self._source.url}", len(items), sum(item.size for item in items))
        units = [(item, block) for item in items for block in range(max(1, blocks_of(item.size)))]
        blocks: dict[str, list[bytes]] = {}
        for item, block in units:
            if (item.name, block) in done:
                self._report_progress(item, block)
        missing = [unit for unit in units if (unit[0].name, unit[1]) not in done]
        fetched = parallel(self._fetch, missing, cost=lambda unit: _length(*unit), workers=WORKERS, batch=8)
        for (item, block), digest in zip(missing, fetched, strict=True):
            done[item.name, block] = digest
            self._report_progress(item, block)
        for item, block in units:
            blocks.setdefault(item.name, []).append(done[item.name, block])
            if block and block == blocks_of(item.size) - 1:
                Path(self._prefix + item.name).chmod(_READ_ONLY)
        return {item.name: content_digest(blocks[item.name] if item.size else ()) for item in items}

    def _drop_vanished(self, items: Sequence[FileEntry]) -> dict[tuple[str, int], bytes]:
        """What of the journal is true: the file is there and as long as it was made. The rest is struck out, lest it
        look true once the file is as long again.
        """
        if not self._journal.done:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder.mkdir(exist_ok=True)
            return {}
        there = set()
        for item in items:
            try:
                if Path(self._prefix + item.name).stat().st_size == item.size:
                    there.add(item.name)
            except OSError:
                continue
        self._journal.add((*key, TOMBSTONE) for key in self._journal.done if key[0] not in there)
        return {key: digest for key, digest in self._journal.done.items() if key[0] in there}

    def _make_folders(self, items: Sequence[FileEntry]) -> None:
        for name in {os.path.dirname(item.name) for item in items}:  # noqa: PTH120 - Path is slow, and these are many
            os.makedirs(self._prefix + name, exist_ok=True)  # noqa: PTH103

    def _report_progress(self, item: FileEntry, block: int) -> None:
        self._progress.advance(int(block == 0), _length(item, block))

    def _fetch(self, unit: tuple[FileEntry, int]) -> bytes:
        item, block = unit
        length = _length(item, block)
        content = self._source.read(item, block * BLOCK, length) if length else b""
        digest = sha256(content).digest()
        whole = item.size <= BLOCK
        descriptor = self._open(item, whole)
        try:
            written = 0
            view = memoryview(content)
            while written < length:
                written += os.pwrite(descriptor, view[written:], block * BLOCK + written)
            if not whole and os.fstat(descriptor).st_size < item.size:
                os.ftruncate(descriptor, item.size)
        finally:
            os.close(descriptor)
        self._journal.add([(item.name, block, digest)])
        return digest

    def _open(self, item: FileEntry, whole: bool) -> int:
        path = self._prefix + item.name
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        if not whole:
            return os.open(path, flags, _UNFINISHED)
        try:
            return os.open(path, flags | os.O_EXCL, _READ_ONLY)
        except FileExistsError:  # of a try that was killed between the file and its line in the journal
            os.unlink(path)  # noqa: PTH108
            return os.open(path, flags | os.O_EXCL, _READ_ONLY)


def _length(item: FileEntry, block: int) -> int:
    return min(BLOCK, item.size - block * BLOCK)
