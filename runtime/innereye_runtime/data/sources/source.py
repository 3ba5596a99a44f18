"""The seam to where datasets come from: something that lists its files and reads their bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Protocol

from innereye_runtime.data.fingerprint.tree import display_path, unreadable, walk
from innereye_runtime.errors import DataError

LONGEST_NAME = 255


class Buffer(Protocol):
    """What can be hashed and written with no copy (PEP 688)."""

    def __buffer__(self, flags: int, /) -> memoryview: ...


class FileEntry(NamedTuple):
    """One file of a source. `version` differs where the content does."""

    name: str
    size: int
    version: str


class SourceChangedError(Exception):
    """An item is not any more what the listing said. List again."""


class Source(Protocol):
    @property
    def url(self) -> str:
        """What names the source, without credentials."""

    def list(self) -> list[FileEntry]:
        """Every file, each name one that a file system takes (`validate_listing`).

        Raises:
            DataError: the source isn't there, refuses, can't be reached, or holds what can't be a file.
        """

    def read(self, item: FileEntry, start: int, length: int) -> Buffer:
        """The bytes of an item from `start` on: as many as were asked for, of the version that was listed. Thread-safe.

        Raises:
            DataError: it can't be read, after a bounded time of trying.
            ChangedError: it is another version now, or gone.
        """


def validate_listing(items: Iterable[FileEntry], url: str) -> list[FileEntry]:
    """The items that become files, sorted by name. Markers of folders (empty, and named like a folder) are left out.

    Raises:
        DataError: a name leads out of the folder, is too long, or is that of a file and of a folder.
    """
    found = sorted(items)
    folders = {name for item in found for name in _folders(item.name)}
    files = []
    for item in found:
        if item.size == 0 and (item.name.endswith("/") or item.name in folders):
            continue
        problem = _problem(item.name, folders)
        if problem:
            raise DataError(
                f"{url} holds '{display_path(Path(item.name), '')}', which can't be a file: {problem}",
                hint="rename or delete it in the store",
            )
        files.append(item)
    return files


def snapshot_id(source: Source, items: Iterable[FileEntry]) -> str:
    """A name for this state of a source: another one where a name, a size or a version differs."""
    digest = blake2b(source.url.encode("utf-8", "surrogateescape"), digest_size=16)
    for name, size, version in items:
        digest.update(f"\0{name}\0{size}\0{version}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _folders(name: str) -> Iterable[str]:
    at = name.find("/")
    while at >= 0:
        yield name[:at]
        at = name.find("/", at + 1)


def _problem(name: str, folders: set[str]) -> str:
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "it has an empty part, '.' or '..'"
    if "\0" in name:
        return "it holds a NUL character"
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in parts):
        return f"a part of it is longer than {LONGEST_NAME} bytes"
    if name in folders:
        return "other names use it as a folder"
    return ""


class FolderSource:
    """A folder on a file system that other machines share: copied to a disk of this machine where the mode is
    download.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._prefix = f"{self.root}/"

    @property
    def url(self) -> str:
        return os.fspath(self.root)

    def list(self) -> list[FileEntry]:
        return sorted(FileEntry(name, size, f"{mtime} {ctime}") for name, size, mtime, ctime, _ in walk(self.root))

    def read(self, item: FileEntry, start: int, length: int) -> Buffer:
        try:
            descriptor = os.open(self._prefix + item.name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                content = os.pread(descriptor, length, start)
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            raise SourceChangedError(item.name) from None
        except OSError as error:
            raise unreadable(error, self.root, item.name) from error
        version = f"{found.st_mtime_ns} {found.st_ctime_ns}"
        if len(content) != length or found.st_size != item.size or version != item.version:
            raise SourceChangedError(item.name)
        return content
