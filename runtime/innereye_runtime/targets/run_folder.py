"""A run by its folder alone: what can be said and shown of it wherever it ran."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.run.folder_lock import holder_of
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, is_complete
from innereye_runtime.targets.base import DownloadResult, StopResult, Write

_POLL_SECONDS = 0.5


class FolderRun:
    """A run that is over, or whose target can't be asked from here."""

    has_two_streams = False

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths

    def is_active(self) -> bool:
        """Whether something on this machine is at work in the folder."""
        return False

    def status(self) -> Mapping[str, Any]:
        record = RunRecord.read(self.paths)
        state, reason = self._state(record)
        return {
            "run": str(self.paths.root),
            "state": state,
            "reason": reason,
            "exit_code": None if state == "lost" else record.exit_code,
            "target": record.target,
            "attempts": len(record.attempts),
            "started": record.attempts[0].started if record.attempts else None,
            "ended": record.attempt.ended if record.attempts else None,
        }

    def _state(self, record: RunRecord) -> tuple[str, str]:
        """State and reason, as they are: a process that was killed could not write its own end."""
        unfinished = record.state == "completed" and not is_complete(self.paths, record)
        if record.state not in ("starting", "running") and not unfinished:
            return record.state, record.reason
        if not self._can_be_lost(record) or holder_of(self.paths) is not None or self.is_active():
            return ("running" if unfinished else record.state), record.reason
        if unfinished:
            does = "finishes the report and the list of outputs"
        elif any(path.exists() for path in self.paths.resumable):
            does = "continues from its newest checkpoint"
        else:
            does = "trains from the start: there is no checkpoint"
        return "lost", f"its process is gone, and left no reason; innereye-run resume {self.paths.root} {does}"

    def _can_be_lost(self, record: RunRecord) -> bool:
        """Whether it would be known here that the run is at work."""
        return False

    def logs(self, write: Write, *, follow: bool) -> None:
        """The console log as it is kept in the folder; with `follow`, until nothing is at work there any more."""
        if not self.paths.console_log.is_file():
            if not (follow and self.is_active()):
                raise UsageError(f"{self.paths.root} has no log yet", hint="innereye-run status shows its state")
            while self.is_active() and not self.paths.console_log.is_file():
                time.sleep(_POLL_SECONDS)
        with self.paths.console_log.open("rb") as log:
            while True:
                active = follow and self.is_active()  # asked before reading, so that the last lines are not missed
                while piece := log.read(1 << 16):
                    write(1, piece)
                if not active:
                    return
                time.sleep(_POLL_SECONDS)

    def stop(self) -> Sequence[StopResult]:
        return [stop_result(self.paths, None)]

    def wait(self) -> int:
        while self.is_active():
            time.sleep(_POLL_SECONDS)
        exit_code = RunRecord.read(self.paths).exit_code
        return 1 if exit_code is None else exit_code

    def download(self, outputs: Path) -> DownloadResult:
        raise UsageError(f"{self.paths.root} is on this machine already", hint="innereye-run verify checks its files")


def stop_result(paths: RunPaths, exit_code: int | None) -> StopResult:
    """What `innereye-run stop` reports of a run on this machine; `exit_code` is None where it was not running."""
    return StopResult(
        run=paths.root.name,
        summary="was not running" if exit_code is None else f"ended with exit code {exit_code}",
        details={"run_folder": str(paths.root), "exit_code": exit_code, "removed": False},
    )
