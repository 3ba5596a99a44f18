"""The end of a process that was asked to end, without the time that taking the interpreter apart takes, and of one that
begins anew."""

from __future__ import annotations

import atexit
import ctypes
import gc
import io
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from innereye_runtime.errors import ExitCode

_STOPPED = (ExitCode.STOPPED, ExitCode.INTERRUPTED)
_FILES = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def leave(exit_code: int, *, forked: bool = False) -> NoReturn:
    """Ends this process as `sys.exit` does; after a stop, the million objects of PyTorch are not freed one by one.

    That takes a second and a half of the processor's time, which is twenty seconds on a machine that is shared, and
    whoever asked for the stop may kill then. Threads are waited for, functions of `atexit` are called, and files that
    are still open for writing are flushed all the same. A fork ends in this way whatever its exit code, as a child of
    `multiprocessing` does; what its run has left in cycles is freed, and libraries in C end what they opened.
    """
    stopped = exit_code in _STOPPED
    if not stopped and not forked:
        raise SystemExit(exit_code)
    if not stopped:
        gc.collect()
    _close()
    if not stopped:
        ctypes.CDLL(None).exit(exit_code)
    os._exit(exit_code)


def begin_anew(module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Makes this process a new one, of the same number: `python -m MODULE ARGUMENTS` with this environment.

    Its children end, threads are waited for, and files that are open for writing are flushed, as where it ends.
    """
    _close()
    os.execve(sys.executable, [sys.executable, "-P", "-m", module, *arguments], dict(environment))


def _close() -> None:
    with suppress(Exception):
        threading._shutdown()  # type: ignore[attr-defined]
    # Listed before what `atexit` has: that may thaw the half million objects of PyTorch that a fork has frozen.
    files = [each for each in gc.get_objects() if issubclass(type(each), _FILES)]  # `isinstance` asks more of it
    with suppress(Exception):
        atexit._run_exitfuncs()
    for file in files:
        with suppress(Exception):
            file.flush()
