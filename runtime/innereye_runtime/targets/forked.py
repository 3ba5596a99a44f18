"""The entrypoint as a fork of this process, in which its imports are there already; else like a child of `Popen`."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module

from innereye_runtime.run.parent_death import signal_at_parent_death
from innereye_runtime.run.process_end import leave
from innereye_runtime.targets.process_runs import ENTRYPOINT


class ForkedChild:
    """A child process that runs the entrypoint with `argv`. This process must have no other threads."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], *, stdout: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        self.pid = os.fork()
        self._returned: int | None = None
        if self.pid == 0:
            _become_entrypoint(argv, environment, stdout=stdout, parent=parent)

    def wait(self) -> int:
        """The exit code, or minus the number of the signal that ended it. Blocks."""
        if self._returned is None:
            self._returned = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self._returned

    def send_signal(self, signum: int) -> None:
        if self._returned is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)


def redirect(*, stdout: int, stderr: int) -> None:
    """Lets this process read nothing, and write to these descriptors."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    os.close(nothing)


def _become_entrypoint(argv: Sequence[str], environment: Mapping[str, str], *, stdout: int, parent: int) -> None:
    """Ends this process as the entrypoint's own ends (`leave`)."""
    os.setpgid(0, 0)
    # `ps` and `clean` don't know it by its command line; without its launcher it saves a checkpoint and ends.
    signal_at_parent_death(signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(128 + signal.SIGTERM)
    redirect(stdout=stdout, stderr=2)
    os.environ.clear()
    os.environ.update(environment)
    logging.getLogger("innereye_runtime").handlers.clear()  # the launcher's: this process adds its own
    entrypoint = import_module(ENTRYPOINT)
    sys.argv = [str(entrypoint.__file__), *argv]
    leave(entrypoint.main(list(argv)), forked=True)
