"""One digest for a whole dataset: equal where names, sizes and contents are equal, wherever and whenever it was
copied.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.data.tree import digests, walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    sha256: str
    files: int
    bytes: int


def fingerprint(path: Path) -> Fingerprint:
    """The fingerprint of the folder (or the one file) at `path`.

    It is the sha256 over one line for each file, sorted by name as bytes: the file's own sha256, its size, and its name
    behind its length, so that no name can pass for the end of a line. Times, owners and empty folders don't count.

    Raises:
        OSError: something in it can't be read.
    """
    root = path if path.is_dir() else path.parent
    entries = sorted(entry for entry in walk(root) if path.is_dir() or entry.path == path.name.encode())
    total = hashlib.sha256()
    for entry, digest in digests(root, entries):
        total.update(b"%s %d %d %s\n" % (digest.encode(), entry.size, len(entry.path), entry.path))
    return Fingerprint(sha256=total.hexdigest(), files=len(entries), bytes=sum(entry.size for entry in entries))
