"""Everything that this process and its children print goes on to where it went, and into logs/console.log as well."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DRAIN_SECONDS = 5


@contextmanager
def tee_output(log: Path, *copies: Path) -> Iterator[None]:
    """While it is open, file descriptors 1 and 2 are copied to `log` and `copies`, byte for byte; when it closes, these
    are complete.

    The copying is done by two `tee` processes, so what was printed up to a crash or a hard kill of this one is kept
    too. They ignore SIGINT (`-i`) and live in a process group of their own: they end when the last writer has closed.
    Where nobody reads what was printed any more (`| head`), the log goes on.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for stream in (sys.stdout, sys.stderr):
        with suppress(BrokenPipeError):  # what could not be written stays in the buffer, and goes to the log
            stream.flush()
    saved = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    copiers = []
    for descriptor, original in saved.items():
        read_end, write_end = os.pipe()
        command = ["tee", "-i", "-a", str(log), *map(str, copies)]
        # SIGPIPE stays ignored, as Python has it: a `tee` that it ends would take the log with it.
        copiers.append(
            subprocess.Popen(command, stdin=read_end, stdout=original, process_group=0, restore_signals=False)
        )
        os.close(read_end)
        os.dup2(write_end, descriptor)
        os.close(write_end)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, original in saved.items():
            os.dup2(original, descriptor)
            os.close(original)
        deadline = time.monotonic() + _DRAIN_SECONDS
        for copier in copiers:
            try:
                copier.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                # A process that outlives this one still holds the pipe: what it prints from here on is not the run's.
                copier.kill()
                copier.wait()
