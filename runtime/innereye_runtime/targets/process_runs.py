"""Runs of the process target that are at work on this machine, found among its processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import UsageError
from innereye_runtime.job.entrypoint_args import parse
from innereye_runtime.run.folder_lock import LAUNCHER
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import is_alive
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.base import RunStatus, StopResult
from innereye_runtime.targets.run_folder import FolderRun, stop_result
from innereye_runtime.targets.supervision import GRACE_SECONDS

ENTRYPOINT = "innereye_runtime.entrypoint"
_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProcess:
    """The first process of a run, and who started it. `orphan`: its launcher is gone."""

    pid: int
    parent: int
    folder: Path
    launcher: str
    started: float
    """Seconds since the epoch."""

    @property
    def orphan(self) -> bool:
        return not is_alive(self.launcher)

    def status(self) -> RunStatus:
        launcher = self.launcher.partition("-")[0]
        minutes = int(max(0.0, time.time() - self.started)) // 60
        return RunStatus(
            run=self.folder.name,
            target="process",
            state="running",
            reference=str(self.folder),
            since=f"Up {minutes} minutes" if minutes != 1 else "Up 1 minute",
            place=f"process {self.pid}",
            note="launcher gone: innereye-run clean" if self.orphan else f"launcher {launcher}",
            details={
                "run_folder": str(self.folder),
                "pid": self.pid,
                "launcher": "" if self.orphan else launcher,
                "orphan": self.orphan,
            },
        )


class ProcessRun(FolderRun):
    """A run of the process target by its folder."""

    def process(self) -> RunProcess | None:
        """The process that is at work in the folder, if there is one."""
        return next((one for one in run_processes() if _is_same(one.folder, self.paths.root)), None)

    def is_active(self) -> bool:
        return self.process() is not None

    def _can_be_lost(self, record: RunRecord) -> bool:
        return not record.attempts or record.attempt.host == socket.gethostname()

    def stop(self) -> Sequence[StopResult]:
        found = self.process()
        return [stop_result(self.paths, None)] if found is None else [stop(found)]


def stop(process: RunProcess) -> StopResult:
    """Asks a run to save a checkpoint and end, waits as long as its launcher would, then kills it.

    A launcher that is there is asked instead: it would take the end of its child for a preemption and start it again.
    """
    asked = process.pid if process.orphan else int(process.launcher.partition("-")[0])
    with contextlib.suppress(ProcessLookupError):
        os.kill(asked, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS + 10
    while _is_running(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    if _is_running(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    paths = RunPaths(process.folder)
    exit_code = RunRecord.read(paths).exit_code if paths.run_json.is_file() else None
    return stop_result(paths, exit_code if exit_code is not None else 128 + signal.SIGKILL)


def run_processes() -> Iterator[RunProcess]:
    """Every run of the process target at work on this machine, the newest first."""
    found = {run.pid: run for entry in _PROCESSES.glob("[0-9]*") if (run := _run_process(entry)) is not None}
    # Loader workers and further ranks look like the process that started them.
    first = [run for run in found.values() if run.parent not in found]
    yield from sorted(first, key=lambda run: -run.started)


def _run_process(entry: Path) -> RunProcess | None:
    try:
        words = (entry / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")[:-1]
        if ENTRYPOINT not in words[:5] or words[words.index(ENTRYPOINT) - 1] != "-m":
            return None
        environment = dict(
            pair.partition("=")[::2] for pair in (entry / "environ").read_text(errors="surrogateescape").split("\0")
        )
        folder = parse(words[words.index(ENTRYPOINT) + 1 :]).run_folder
        started = entry.stat().st_mtime
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, UsageError, ValueError):
        return None  # it ended meanwhile, or is another user's
    if folder is None or LAUNCHER not in environment:
        return None
    return RunProcess(
        pid=int(entry.name), parent=parent, folder=folder, launcher=environment[LAUNCHER], started=started
    )


def _is_running(process: RunProcess) -> bool:
    return any(one.pid == process.pid and one.launcher == process.launcher for one in run_processes())


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
