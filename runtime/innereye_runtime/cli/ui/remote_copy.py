"""The remote copy of a run folder while its job runs, and what a person gets to read of it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from innereye_runtime.cli.ui.terminal import CYAN, eprint, paint
from innereye_runtime.errors import InnerEyeError
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.run.folder_lock import withdraw
from innereye_runtime.run.paths import RunPaths, resume_command
from innereye_runtime.run.record import record_early_exit
from innereye_runtime.targets.supervision import report


def wait_with_copy(manifest: Manifest, run: str, wait: Callable[[], int]) -> int:
    """The exit code of the job that `wait` waits for; that of the copy of its run folder where it is done and the copy
    can't be finished.

    Raises:
        InnerEyeError: the copy can't be begun; the job is not waited for.
    """
    if not manifest.outputs.remote:
        return wait()
    from innereye_runtime.launch.mirroring import Mirroring

    paths = RunPaths(Path(run))
    mirroring = Mirroring(paths, manifest.outputs.remote, report=report)
    try:
        mirroring.begin()
    except InnerEyeError as error:
        record_early_exit(paths, error.exit_code)
        withdraw(paths)
        raise
    try:
        exit_code = wait()
    except InnerEyeError as error:  # the engine is gone, or the like: what the run has written is kept
        mirroring.finish(error.exit_code)
        raise
    with _answers_signals(paths, lambda: mirroring.progress):
        return mirroring.finish(exit_code)


@contextmanager
def _answers_signals(paths: RunPaths, progress: Callable[[], str]) -> Iterator[None]:
    """While it is open, a first signal is answered by how far the copy is, and a second one ends this process: what
    counts in the copy is whole at any moment."""
    asked: list[int] = []

    def on_signal(signum: int, frame: FrameType | None) -> None:
        if asked:
            eprint(f"{paint('hint:', CYAN, sys.stderr)} {resume_command(paths, Path.cwd())} finishes the copy")
            os._exit(128 + signum)
        asked.append(signum)
        eprint(f"the copy is being finished: {progress() or 'all files but the last'}; once more ends it")

    heard = (signal.SIGINT, signal.SIGTERM)
    previous = {each: signal.signal(each, on_signal) for each in heard}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
