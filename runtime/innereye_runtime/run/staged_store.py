"""An output that files are copied to whole: a mount of an object store, or a store that is asked through its own
library (`innereye_runtime.run.blob_store`). Only writing a file and reading one are needed.

A file that is there already is never written over while it counts: each has two places, its own name and the same
below `.staging/files/`, which its versions take in turns. What counts is what the newest readable index says, of which
there are two as well. So a kill in the middle of any write leaves the version before it.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, ClassVar, TypeVar

from innereye_runtime.data.fingerprint.hashing import file_sha256
from innereye_runtime.run.temporaries import files_below

STAGING = ".staging"
INDEXES = (f"{STAGING}/index-0.json", f"{STAGING}/index-1.json")
_SECOND = f"{STAGING}/files"
_BUFFER = 1 << 20
_PAUSES = (0.1, 0.5, 2.0)

T = TypeVar("T")


class StoreError(OSError):
    """What was read back from the store is not what was written."""


class RefusedByStoreError(StoreError):
    """The store will give the same answer the next time: it is not tried again."""


class TakenOverError(RefusedByStoreError):
    """Somebody else writes to the same output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFile:
    size: int
    sha256: str
    slot: int = 0
    """0: under its own name; 1: below `.staging/files/`."""

    def place(self, name: str) -> str:
        """Where it is in the store, relative to the store's folder."""
        return place_of(name, self.slot)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The files that count."""

    sequence: int = 0
    files: Mapping[str, StagedFile] = field(default_factory=dict)
    writer: str = ""
    """Who wrote it, where several could."""

    @property
    def place(self) -> str:
        return INDEXES[self.sequence % 2]

    def to_bytes(self) -> bytes:
        """The text of the index, with a digest of its own: one that was cut short is not read."""
        files = {name: asdict(each) for name, each in self.files.items()}
        content = json.dumps({"sequence": self.sequence, "writer": self.writer, "files": files})
        return json.dumps({"sha256": hashlib.sha256(content.encode()).hexdigest(), "index": content}).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Index | None:
        """The index in `data`; None where it is not a whole one."""
        try:
            outer = json.loads(data)
            if hashlib.sha256(outer["index"].encode()).hexdigest() != outer["sha256"]:
                return None
            values: dict[str, Any] = json.loads(outer["index"])
            files = {name: StagedFile(**each) for name, each in values["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in files):
            return None
        return cls(sequence=values["sequence"], files=files, writer=values.get("writer", ""))


def place_of(name: str, slot: int) -> str:
    return f"{_SECOND}/{name}" if slot else name


def is_internal(name: str) -> bool:
    """Whether a file of the store is none of the run's."""
    return name.startswith(f"{STAGING}/")


def places_of(there: Collection[str], indexes: Iterable[Index]) -> dict[str, str]:
    """Where each file of a run that is not complete lies among the names that are `there`: by the first of `indexes`
    whose files are all there, else under its own name."""
    for index in indexes:
        places = {name: staged.place(name) for name, staged in index.files.items()}
        if all(place in there for place in places.values()):
            return places
    return {name: name for name in there if not is_internal(name)}


def newest_first(texts: Iterable[bytes]) -> list[Index]:
    """The readable indexes among `texts`, the newest first."""
    found = [index for text in texts if (index := Index.from_bytes(text)) is not None]
    return sorted(found, key=lambda index: index.sequence, reverse=True)


class Store(ABC):
    """What the files of one run are copied to. `str` of it is its place, for a message."""

    ABSENT: ClassVar[type[OSError]] = OSError
    """What is raised where a file is missing or damaged: on a mount, anything."""

    @abstractmethod
    def write(self, name: str, source: Path, advanced: Callable[[int], None]) -> tuple[int, str]:
        """Size and sha256 of what is now at `name`: the content of `source` as it was met, verified. `advanced` gets
        the number of bytes of each piece.

        Raises:
            OSError: it can't be written, or is not there as it was written.
        """

    @abstractmethod
    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes `content` to `name`, and makes sure that it is there.

        Raises:
            OSError: it can't be written, or is not there as it was written.
        """

    @abstractmethod
    def read_bytes(self, name: str) -> bytes:
        """The content of a small file.

        Raises:
            FileNotFoundError: there is none of that name.
            OSError: it can't be read.
        """

    @abstractmethod
    def names(self) -> list[str]:
        """Of all that is there.

        Raises:
            OSError: it can't be listed.
        """

    @abstractmethod
    def copy_out(self, name: str, target: Path) -> None:
        """Copies a file to `target`, in a folder that is there.

        Raises:
            OSError: it can't be read or written.
        """

    @abstractmethod
    def remove_second_places(self, names: Iterable[str]) -> None:
        """Removes what lies below `.staging/files/` and counts no more, from a store that deletes files."""

    def write_index(self, index: Index) -> None:
        """Lets what `index` lists count from now on.

        Raises:
            OSError: it can't be written.
        """
        self.write_bytes(index.place, index.to_bytes())

    def indexes(self) -> list[Index]:
        """What is in the store, the newest first; empty for a store that nothing was staged to.

        Raises:
            OSError: one can't be read: the other may be an older one.
        """
        texts = []
        for name in INDEXES:
            with suppress(FileNotFoundError):
                texts.append(_retried(lambda name=name: self.read_bytes(name)))  # type: ignore[misc]
        return newest_first(texts)

    def fetch(self, name: str, staged: StagedFile, target: Path) -> bool:
        """Whether `target` now has the file as it was staged.

        Raises:
            OSError: it can't be fetched, where that does not mean that it is missing or damaged (`ABSENT`).
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(self.ABSENT):
            _retried(lambda: self.copy_out(staged.place(name), target))
            return file_sha256(target) == (staged.size, staged.sha256)
        return False


class OutputStore(Store):
    """The folder of an output."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    def of_node(self, node: int) -> OutputStore:
        """Where a node other than the first has what only its own ranks write."""
        return OutputStore(self.folder / STAGING / f"node-{node}")

    def write(self, name: str, source: Path, advanced: Callable[[int], None]) -> tuple[int, str]:
        digest = hashlib.sha256()
        with source.open("rb") as file, self._created(name).open("wb") as target:
            left = os.fstat(file.fileno()).st_size  # what is appended meanwhile is for the next copy
            while left and (piece := file.read(min(left, _BUFFER))):
                target.write(piece)
                digest.update(piece)
                left -= len(piece)
                advanced(len(piece))
            size = target.tell()
            _flush(target)
        self._verify(name, size, digest.hexdigest())
        return size, digest.hexdigest()

    def write_bytes(self, name: str, content: bytes) -> None:
        with self._created(name).open("wb") as target:
            target.write(content)
            _flush(target)
        self._verify(name, len(content), hashlib.sha256(content).hexdigest())

    def read_bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def names(self) -> list[str]:
        return list(files_below(self.folder)) if self.folder.is_dir() else []

    def copy_out(self, name: str, target: Path) -> None:
        _copy(self.folder / name, target)

    def remove_second_places(self, names: Iterable[str]) -> None:
        for name in names:
            with suppress(OSError):
                (self.folder / place_of(name, 1)).unlink()

    def _created(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _verify(self, name: str, size: int, sha256: str) -> None:
        found = None
        with suppress(FileNotFoundError):
            found = file_sha256(self.folder / name)
        if found != (size, sha256):
            raise StoreError(f"{name} was written with {size:,} bytes, and is not there as it was written")


def _retried(action: Callable[[], T]) -> T:
    """For a store that fails now and then."""
    for pause in _PAUSES:
        try:
            return action()
        except (FileNotFoundError, RefusedByStoreError):
            raise
        except OSError:
            time.sleep(pause)
    return action()


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file, target.open("wb") as copy:
        while piece := file.read(_BUFFER):
            copy.write(piece)


def _flush(file: IO[bytes]) -> None:
    file.flush()
    with suppress(OSError):  # mounts that have no fsync send a file when it is closed
        os.fsync(file.fileno())
