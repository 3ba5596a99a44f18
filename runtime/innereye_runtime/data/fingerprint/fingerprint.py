"""The fingerprint of a dataset: one digest over the names, sizes and contents of its files.

It does not depend on the order of the files, the platform, time stamps, permissions or empty folders, so a folder, a
copy, a mount and the blobs that they came from have the same one. It is the sha256 of `innereye-dataset-1\\n` and
then, for each file in the order of its name's bytes: the length of the name (8 bytes, big-endian), the name's bytes
(UTF-8, `/` between parts), the size (8 bytes, big-endian) and the file's content digest (32 bytes, see `hashing`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from innereye_runtime.data.fingerprint import stat_cache
from innereye_runtime.data.fingerprint.hashing import BLOCK, block_digests, blocks_of, content_digest, parallel
from innereye_runtime.data.fingerprint.tree import TreeFile, display_path, unreadable, walk
from innereye_runtime.data.progress import NullProgress, Progress
from innereye_runtime.errors import DataError

_PART = 8  # blocks of one file that a worker takes at a time


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal for equal datasets."""

    sha256: str
    files: int
    bytes: int


def fingerprint(root: Path, *, progress: Progress | None = None) -> Fingerprint:
    """The fingerprint of a folder. The second time, files whose stat did not change are not read (see `stat_cache`).

    Raises:
        DataError: a file can't be read, changes while it is read, or may not stand in a dataset.
    """
    root = root.resolve()
    known = stat_cache.get(root)
    if known is not None and known.stamp and known.stamp == stat_cache.stat_key(walk(root)):
        return Fingerprint(**known.result)  # type: ignore[arg-type]
    with stat_cache.single_reader(root):
        return _read_what_is_new(root, progress or NullProgress())


def combine(files: Iterable[tuple[str, int, str]]) -> Fingerprint:
    """The fingerprint of files from the name, size and content digest of each."""
    digest, count, total = sha256(b"innereye-dataset-1\n"), 0, 0
    for name, size, content in sorted((os.fsencode(name), size, content) for name, size, content in files):
        digest.update(len(name).to_bytes(8, "big") + name + size.to_bytes(8, "big") + bytes.fromhex(content))
        count += 1
        total += size
    return Fingerprint(digest.hexdigest(), count, total)


def _read_what_is_new(root: Path, progress: Progress) -> Fingerprint:
    started = time.time_ns()
    files = walk(root)
    known = stat_cache.get(root)
    remembered = known.digests() if known is not None else {}
    digests = {file.name: remembered[file] for file in files if file in remembered}
    progress.begin(f"reading {display_path(root, '')}", len(files), sum(file.size for file in files))
    progress.advance(len(digests), sum(file.size for file in files if file.name in digests))
    digests |= _read(root, [file for file in files if file.name not in digests], progress)
    found = combine((file.name, file.size, digests[file.name]) for file in files)
    stat_cache.put(root, files, digests, asdict(found), started)
    return found


def _read(root: Path, files: Sequence[TreeFile], progress: Progress) -> dict[str, str]:
    """The content digest of each file. Large files are read by several workers at once."""
    units = [(file, first) for file in files for first in range(0, max(1, blocks_of(file.size)), _PART)]
    blocks: dict[str, list[bytes]] = {}
    read = parallel(lambda unit: _read_part(root, *unit), units, cost=lambda unit: _size(*unit))
    for (file, first), digests in zip(units, read, strict=True):
        blocks.setdefault(file.name, []).append(digests)
        progress.advance(int(first == 0), _size(file, first))
    return {name: content_digest(parts) for name, parts in blocks.items()}


def _size(file: TreeFile, first: int) -> int:
    return min(file.size - first * BLOCK, _PART * BLOCK)


def _read_part(root: Path, file: TreeFile, first: int) -> bytes:
    try:
        descriptor = os.open(f"{root}/{file.name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            digests = block_digests(descriptor, file.size, first, _PART)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(error, root, file.name) from error
    # Not the inode: some FUSE file systems number a file anew when it has not been looked at for a while.
    if (after.st_size, after.st_mtime_ns, after.st_ctime_ns) != (file.size, file.mtime_ns, file.ctime_ns):
        raise DataError(
            f"{display_path(root, file.name)} changed while it was read",
            hint="let nothing write to a dataset that a run reads",
        )
    return digests
