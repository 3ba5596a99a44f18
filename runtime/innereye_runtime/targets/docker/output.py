"""A container's output, byte for byte: chunks are no lines, may cut a character in two, and hold carriage returns."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

from innereye_runtime.targets.docker.client import Chunk


class OutputCopy:
    """A thread that writes standard output and standard error to two descriptors until the container closes them."""

    def __init__(self, chunks: Iterable[Chunk], *, stdout: int, stderr: int) -> None:
        self._thread = threading.Thread(target=self._copy, args=(chunks, (stdout, stderr)), daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Waits for the last bytes of a container that has ended."""
        self._thread.join(timeout=10)

    @staticmethod
    def _copy(chunks: Iterable[Chunk], descriptors: tuple[int, int]) -> None:
        open_ones = set(descriptors)
        with suppress(ConnectionError):  # the engine is gone, which the wait for the container's end tells
            for chunk in chunks:
                for data, descriptor in zip(chunk, descriptors, strict=True):
                    if data and descriptor in open_ones and not write_all(descriptor, data):
                        open_ones.discard(descriptor)


def write_all(descriptor: int, data: bytes) -> bool:
    """True when all of `data` was written; False where nobody reads any more (`| head`): no reason to stop a job."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BrokenPipeError:
            return False
    return True
