"""A folder to fetch from that tells what was read of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.data.cache.cache import Cache, CachedCopy
from innereye_runtime.data.progress import NullProgress
from innereye_runtime.data.sources.source import Buffer, FileEntry, FolderSource


class Counted(FolderSource):
    """Counts what this process reads."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, item: FileEntry, start: int, length: int) -> Buffer:
        self.reads.append(item.name)
        return super().read(item, start, length)


def get_or_fetch(
    source: FolderSource, items: Sequence[FileEntry] | None = None, *, cache: Cache | None = None
) -> CachedCopy:
    """The items, listed now where none are given, in the cache; nothing is held."""
    copy = (cache or Cache()).get_or_fetch(source, source.list() if items is None else items, NullProgress())
    copy.lock.release()
    return copy
