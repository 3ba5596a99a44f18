"""SHA-256 of files, on all cores, in constant memory.

A plain sha256 (outputs.json) is what `sha256sum` prints. A *content digest* (fingerprints) is the sha256 of the
joined sha256 of the file's blocks of 8 MiB, so that the blocks of one large file can be hashed at once, in the order
in which a download brings them, and a hole of a sparse file costs nothing.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from threading import local
from typing import TypeVar

BLOCK = 8 << 20
WORKERS = min(8, os.cpu_count() or 1)
_BUFFER = 1 << 20
_BATCH = 64
_mine = local()

T = TypeVar("T")
R = TypeVar("R")


def file_sha256(path: Path) -> tuple[int, str]:
    """Size and plain sha256 of a file, up to its end as it is met.

    Raises:
        OSError: it can't be read.
    """
    digest, size = sha256(), 0
    buffer = _buffer()
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            size += count
    return size, digest.hexdigest()


def block_digests(descriptor: int, size: int, first: int, count: int) -> bytes:
    """The joined digests of `count` blocks of an open file of `size` bytes, from block number `first` on.

    Raises:
        OSError: it can't be read.
    """
    joined = bytearray()
    data_from = -1  # the next offset that is known to hold data: all before it is a hole
    for start in range(first * BLOCK, min(size, (first + count) * BLOCK), BLOCK):
        end = min(start + BLOCK, size)
        if size > BLOCK and data_from < start:
            data_from = _next_data(descriptor, start, size)
        if data_from >= end:
            joined += _digest_of_zeros(end - start)
            continue
        digest, offset = sha256(), start
        buffer = _buffer()
        while offset < end:
            read = os.preadv(descriptor, [buffer[: end - offset]], offset)
            if read == 0:
                break  # shorter than it was: the caller sees that by its stat
            digest.update(buffer[:read])
            offset += read
        joined += digest.digest()
    return bytes(joined)


def content_digest(blocks: Iterable[bytes]) -> str:
    """The content digest of a file from the digests of its blocks, in order; they may come joined."""
    return sha256(b"".join(blocks)).hexdigest()


def blocks_of(size: int) -> int:
    """How many blocks a file of `size` bytes has; an empty one has none."""
    return -(-size // BLOCK)


def parallel(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    cost: Callable[[T], int],
    workers: int = WORKERS,
    batch: int = _BATCH,
) -> Iterator[R]:
    """`function` of each item, in order, worked on by threads. The first exception ends the rest.

    Items go to the threads in batches of some bytes each (`cost` of an item); at most a few batches are under way or
    waiting at once, so that memory does not grow with the number of items.
    """
    batches = _batches(items, cost, batch)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[list[R]]] = deque()
        try:
            while True:
                for part in islice(batches, 4 * workers - len(waiting)):
                    waiting.append(pool.submit(lambda part: [function(item) for item in part], part))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _batches(items: Iterable[T], cost: Callable[[T], int], longest: int) -> Iterator[list[T]]:
    batch: list[T] = []
    total = 0
    for item in items:
        batch.append(item)
        total += cost(item)
        if total >= BLOCK or len(batch) == longest:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def _next_data(descriptor: int, start: int, size: int) -> int:
    """The offset from which on there is data at or after `start`; `start` where the system can't tell."""
    try:
        return os.lseek(descriptor, start, os.SEEK_DATA)
    except OSError as error:
        return size if error.errno == errno.ENXIO else start  # ENXIO: a hole up to the end


@cache
def _digest_of_zeros(size: int) -> bytes:
    return sha256(bytes(size)).digest()


def _buffer() -> memoryview:
    """This thread's own buffer."""
    if not hasattr(_mine, "buffer"):
        _mine.buffer = memoryview(bytearray(_BUFFER))
    found: memoryview = _mine.buffer
    return found
