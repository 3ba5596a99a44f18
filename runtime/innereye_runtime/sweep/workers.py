"""The trials that run right now: started here, or left running by a sweep that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import UsageError
from innereye_runtime.run.process_id import identity_of, is_alive
from innereye_runtime.sweep.results import read_record
from innereye_runtime.sweep.warm_pool import WarmChild, WarmPool
from innereye_runtime.targets.process_runs import run_processes, stop
from innereye_runtime.targets.registry import attach

_MODULE = "innereye_runtime.cli.trial"
"""Started by its name: it is the command line's, above this floor."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """A process that runs one trial."""

    identity: str
    folder: Path
    slot: int
    child: subprocess.Popen[bytes] | WarmChild | None
    """None: it was started by an earlier process of this sweep."""
    asked_to_stop: bool = False
    is_running: bool = True

    @property
    def is_adopted(self) -> bool:
        return self.child is None

    def exit_code(self) -> int | None:
        """None while it runs."""
        if self.child is not None:
            returned = self.child.poll()
            return None if returned is None else returned if returned >= 0 else 128 - returned
        if is_alive(self.identity):
            return None
        exit_code: int | None = read_record(self.folder).get("exit_code")
        return 128 + signal.SIGKILL if exit_code is None else exit_code

    def send(self, signum: int) -> None:
        """The first signal asks the trial to save a checkpoint and end; a second one kills it."""
        self.asked_to_stop = True
        with suppress(ProcessLookupError):
            if self.child is not None:
                self.child.send_signal(signum)
            elif is_alive(self.identity):
                os.kill(int(self.identity.partition("-")[0]), signum)


def argv_of(folder: Path, *, target: str, code_root: Path, smoke: bool) -> list[str]:
    """The command of the trial in `folder`, which has a manifest.yaml."""
    return [sys.executable, "-P", "-m", _MODULE, str(folder), target, str(code_root), str(int(smoke))]


def start_worker(
    folder: Path,
    log: Path,
    *,
    target: str,
    code_root: Path,
    smoke: bool,
    slot: int,
    environment: Mapping[str, str],
) -> Worker:
    """A new process for the trial in `folder`; what it prints goes to `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            argv_of(folder, target=target, code_root=code_root, smoke=smoke),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment},
            process_group=0,  # Ctrl-C reaches the sweep alone, which passes it on once
        )
    return Worker(identity=identity_of(child.pid), folder=folder, slot=slot, child=child)


def start_warm_worker(
    folder: Path, log: Path, pool: WarmPool, *, code_root: Path, smoke: bool, slot: int
) -> Worker | None:
    """As `start_worker`, from the pool; None where that is gone."""
    words = argv_of(folder, target="process", code_root=code_root, smoke=smoke)[-4:]
    pid = pool.start(folder.name, words, log)
    if pid is None:
        return None
    identity = identity_of(pid)
    return Worker(identity=identity, folder=folder, slot=slot, child=WarmChild(pool, pid, identity))


def adopted_worker(identity: str, folder: Path, slot: int) -> Worker | None:
    """The process of a trial that an earlier process of the sweep started, where it is still there."""
    return Worker(identity=identity, folder=folder, slot=slot, child=None) if is_alive(identity) else None


def end_strays(folder: Path) -> None:
    """Stops what is still running in the folder of a trial though its launcher is gone; it saves a checkpoint."""
    for process in list(run_processes()):
        if os.path.realpath(process.folder) == os.path.realpath(folder):
            stop(process)
    if read_record(folder).get("target", "process") == "process":
        return
    with suppress(UsageError):  # nothing of this run is there
        attach(str(folder)).stop()
