"""A walk over the files of a folder, and their digests: what fingerprints and outputs.json both stand on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """A regular file below a root: its path relative to that, with `/` between the parts, and its size in bytes."""

    path: bytes
    size: int


def walk(root: Path) -> Iterator[Entry]:
    """Every regular file below `root`, in no particular order. A symbolic link counts as what it points to.

    Names are bytes, as the file system has them: a name that is not UTF-8 is a file too.

    Raises:
        OSError: a folder can't be read, or a link points nowhere.
    """
    pending = [(os.fsencode(root), b"")]
    while pending:
        folder, prefix = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append((entry.path, prefix + entry.name + b"/"))
                elif entry.is_file() or entry.is_symlink():
                    yield Entry(prefix + entry.name, entry.stat().st_size)


def digests(root: Path, entries: Iterable[Entry]) -> list[tuple[Entry, str]]:
    """The sha256 of each file, in the order of the entries; as many at once as there are processors.

    Raises:
        OSError: a file can't be read.
    """
    base = os.fsencode(root)

    def digest(entry: Entry) -> tuple[Entry, str]:
        with open(os.path.join(base, entry.path), "rb") as file:  # noqa: PTH118, PTH123 - names are bytes
            return entry, hashlib.file_digest(file, "sha256").hexdigest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(digest, entries))
