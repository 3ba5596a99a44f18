"""Loader workers end with the process that started them, also where that is killed."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
import threading

from innereye_runtime.run.parent_death import signal_at_parent_death


class _Fork:
    """What the child of a fork has to know of its parent."""

    parent = 0
    is_main_thread = False


def end_children_with_parent() -> None:
    """From here on the kernel kills each forked child of this process when this process dies. Only on Linux.

    Children that a further thread forks are left out: the kernel would kill them at the end of that thread.
    """
    if not sys.platform.startswith("linux"):
        return

    def before() -> None:
        _Fork.parent, _Fork.is_main_thread = os.getpid(), threading.current_thread() is threading.main_thread()

    def in_child() -> None:
        if _Fork.is_main_thread:
            signal_at_parent_death(signal.SIGKILL)
            if os.getppid() != _Fork.parent:  # it died in between
                os.kill(os.getpid(), signal.SIGKILL)

    os.register_at_fork(before=before, after_in_child=in_child)


def end_with_parent() -> None:
    """Lets this process, where it is a worker that was spawned, end with the one that asked for it.

    Not by the kernel's signal: that comes at the end of the thread which started this process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
