"""The process that a sweep's trials start from: PyTorch, Lightning and the container's module are imported in it, once.

Each line of standard input asks for a trial; a fork of this process runs it. Lines of standard output report what
became of that. A fork is only safe where no thread computes and CUDA is untouched: where an import did either, it says
so, and trials start cold.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from innereye_runtime.run.process_end import leave

_STEPS = "innereye_runtime.training.lifecycle.steps"
"""Imported by its name: the running side is not imported by this one, which only forks into it."""
_LATER = (
    "torch.utils.tensorboard",
    "innereye_runtime.entrypoint",
    "innereye_runtime.targets.process",
    "innereye_runtime.targets.registry",
)
"""What each trial would import on its way, a sixth of a second in all."""
_POLL_SECONDS = 0.02


def main(argv: Sequence[str]) -> int:
    """`argv`: the sweep's manifest, and the root of the code. Ends at the end of its input, or as a trial."""
    manifest, code_root = map(Path, argv)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a module prints when it is imported is no answer
    refusal = _import(manifest, code_root)
    _answer(answers, {"refused": refusal} if refusal else {"ready": True})
    if refusal:
        return 0
    trial = _serve(answers)
    if trial:
        leave(trial(), forked=True)
    return 0


def _import(manifest: Path, code_root: Path) -> str:
    """Why a fork is not safe after the imports; '' where it is."""
    from innereye_runtime.introspection.discovery import load
    from innereye_runtime.job.resolve import resolve_job

    try:
        import_module(_STEPS)
        torch = import_module("torch")
        for module in _LATER:
            import_module(module)
    except ImportError as error:
        return f"{error}"
    _skip_teardown()
    threads = _threads()
    with suppress(BaseException):  # a trial meets it again, and reports it
        job = resolve_job(manifest, cwd=Path.cwd(), root=code_root)
        load(job.location, job.search_path)
    if _threads() > threads:
        return "the container's module starts threads when it is imported"
    if torch.cuda.is_initialized():
        return "the container's module uses CUDA when it is imported"
    _keep_operators()
    gc.freeze()
    return ""


def _keep_operators() -> None:
    """Lets a fork end without taking PyTorch's operators apart one by one, which the kernel frees at once. What the
    user's modules and other libraries do at their end stays."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        if (alive := finalizer.peek()) and alive[1].__module__ == "torch.library":
            finalizer.atexit = False


def _skip_teardown() -> None:
    """Lets a fork's end in the C library stop before it takes apart what is loaded by now, which the kernel frees at
    once: PyTorch has half a million objects, each on a page that would be copied first. What is loaded later, by the
    user's modules and in a trial, is ended as everywhere.
    """
    libc = ctypes.CDLL(None)
    with suppress(AttributeError):  # of GNU alone. What is registered last is called first
        libc.on_exit(libc._exit, None)
        libc.on_exit(libc.fcloseall, None)  # flushes what C code has left open


def _threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def _serve(answers: Any) -> Callable[[], int] | None:
    """In a fork, the trial to run; in the process itself None, when there is nobody left to ask for one."""
    running: dict[int, list[int]] = {}
    """The descriptors that say when each trial has ended, where the system has such."""
    unread = b""
    while True:
        for pid in list(running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                for descriptor in running.pop(pid):
                    os.close(descriptor)
                _answer(answers, {"pid": pid, "exit_code": os.waitstatus_to_exitcode(status)})
        if 0 not in select.select([0, *chain(*running.values())], [], [], _POLL_SECONDS)[0]:
            continue
        data = os.read(0, 1 << 16)
        if not data:
            return None
        *lines, unread = (unread + data).split(b"\n")
        for line in lines:
            request = json.loads(line)
            pid = os.fork()
            if pid == 0:
                answers.close()
                for descriptor in chain(*running.values()):
                    os.close(descriptor)
                return _trial(request)
            running[pid] = [os.pidfd_open(pid)] if hasattr(os, "pidfd_open") else []
            _answer(answers, {"trial": request["trial"], "pid": pid})


def _trial(request: dict[str, Any]) -> Callable[[], int]:
    """The trial, as a process of its own: in a group of its own, with its output in its log."""
    from innereye_runtime.cli import trial
    from innereye_runtime.targets.forked import redirect

    os.setpgid(0, 0)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    redirect(stdout=log, stderr=log)
    os.close(log)
    return lambda: trial.main(request["argv"], warm=True)


def _answer(answers: Any, value: dict[str, Any]) -> None:
    with suppress(OSError):  # the sweep is gone; its trials go on
        answers.write(json.dumps(value) + "\n")
        answers.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
