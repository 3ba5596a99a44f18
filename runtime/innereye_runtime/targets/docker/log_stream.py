"""A container's output, byte for byte: chunks are no lines, may cut a character in two, and hold carriage returns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

from innereye_runtime.targets.docker.client import Chunk
from innereye_runtime.targets.supervision import write_all

_STEP_SECONDS = 0.2
_QUIET_SECONDS = 10
"""How long an engine that sends nothing more of a container that has ended is listened to."""


class LogStreamer:
    """A thread that writes standard output and standard error to two descriptors until the container closes them."""

    def __init__(self, chunks: Iterable[Chunk], *, stdout: int, stderr: int) -> None:
        self._is_writing = False
        self._thread = threading.Thread(target=self._copy, args=(chunks, (stdout, stderr)), daemon=True)
        self._thread.start()

    def finish(self, hurried: Callable[[], bool] = lambda: False) -> None:
        """Waits for the last bytes of a container that has ended, and for a slow reader to take them, unless `hurried`
        says that somebody asked for the end.
        """
        quiet = 0.0
        while quiet < _QUIET_SECONDS:
            self._thread.join(_STEP_SECONDS)
            if not self._thread.is_alive():
                return
            quiet = 0.0 if self._is_writing and not hurried() else quiet + _STEP_SECONDS

    def _copy(self, chunks: Iterable[Chunk], descriptors: tuple[int, int]) -> None:
        open_ones = set(descriptors)
        with suppress(ConnectionError):  # the engine is gone, which the wait for the container's end tells
            for chunk in chunks:
                self._is_writing = True
                for data, descriptor in zip(chunk, descriptors, strict=True):
                    if data and descriptor in open_ones:
                        try:
                            write_all(descriptor, data)
                        except OSError:  # nobody takes any more (`| head`, a full disk): no reason to stop a job
                            open_ones.discard(descriptor)
                self._is_writing = False
