"""Many small files of a folder, copied and hashed by processes of their own.

Copying a small file is a handful of system calls, and Python's threads take turns at those: two processes do twice as
much as one, and eight threads do less.
"""

from __future__ import annotations

import marshal
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from innereye_runtime.data.cache import copy_worker
from innereye_runtime.data.cache.copy_worker import HEAD

WORKERS = 4
_DIGEST = 32


class CopyPool:
    """Workers that copy from the folder `source` to the folder `target`, whose own folders are there; a context."""

    def __init__(self, source: Path, target: Path) -> None:
        self._command = [sys.executable, "-I", "-S", copy_worker.__file__, os.fspath(source), os.fspath(target)]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._started = ExitStack()

    def __enter__(self) -> Self:
        for _ in range(WORKERS):
            worker = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._started.callback(worker.communicate)  # tells it the end, and waits for it
            self._idle.put(worker)
        return self

    def __exit__(self, *exception: object) -> None:
        self._started.close()

    def copy(self, files: Sequence[tuple[str, int, str]]) -> list[bytes]:
        """The digest of each file (name, size, version) that was copied: of all, or of the first so many, where the
        next one is not as it was listed, is there already, or can't be copied.

        Thread-safe; blocks until a worker is idle and has done it.
        """
        worker = self._idle.get()
        try:
            return _ask(worker, marshal.dumps([(os.fsencode(name), size, version) for name, size, version in files]))
        finally:
            self._idle.put(worker)


def _ask(worker: subprocess.Popen[bytes], question: bytes) -> list[bytes]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        worker.stdin.write(len(question).to_bytes(HEAD, "big") + question)
        worker.stdin.flush()
        size = int.from_bytes(worker.stdout.read(HEAD), "big")
        digests = worker.stdout.read(size)
    except OSError:  # it was killed
        return []
    return [digests[at : at + _DIGEST] for at in range(0, len(digests) // _DIGEST * _DIGEST, _DIGEST)]
