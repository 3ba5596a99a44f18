"""A run by its folder alone: what can be said and shown of it wherever it ran."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
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
        state, reason = str(record.state), record.reason
        if state == "completed" and not self.paths.outputs_json.is_file():  # killed while it listed its outputs
            state, reason = "incomplete", "outputs.json is missing: innereye-run resume finishes the run"
        return {
            "run": str(self.paths.root),
            "state": state,
            "reason": reason,
            "exit_code": record.exit_code,
            "target": record.target,
            "attempts": len(record.attempts),
            "started": record.attempts[0].started,
            "ended": record.attempt.ended,
        }

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
