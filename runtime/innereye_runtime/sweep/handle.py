"""A sweep by its folder: what `status`, `logs`, `stop` and `wait` do with it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import is_alive
from innereye_runtime.sweep.record import SweepRecord, TrialState
from innereye_runtime.targets.base import DownloadResult, QueueingTarget, RunHandle, StopResult, TrialQueue, Write
from innereye_runtime.targets.registry import attach, get_target
from innereye_runtime.targets.run_folder import stop_result
from innereye_runtime.targets.supervision import GRACE_SECONDS

_POLL_SECONDS = 0.5


def handle_of(reference: str) -> RunHandle:
    """What `reference` names: the folder of a sweep on this machine, or a run on whichever target.

    Raises:
        PreflightError: no target knows it, and one could not be asked.
        UsageError: no target knows it, or it is the name of several active runs.
    """
    folder = Path(reference).absolute()
    return SweepHandle(folder) if (folder / "sweep.json").is_file() else attach(reference)


class SweepHandle:
    has_two_streams = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def status(self) -> dict[str, Any]:
        record = SweepRecord.read(self._folder)
        state, reason = record.state, record.reason
        if state == "running" and record.launcher and not is_alive(record.launcher):
            if (queue := self._queue(record)) and queue.is_active():
                reason = "its process was killed, and its jobs were not: innereye-run resume follows them"
            else:
                state, reason = "stopped", "its process was killed: innereye-run resume continues it"
        counts = {each: count for each in get_args(TrialState) if (count := record.count(each))}
        return {
            "run": str(self._folder),
            "state": state,
            "reason": reason,
            "exit_code": record.exit_code,
            "target": record.target,
            "runs": record.total,
            "trials": ", ".join(f"{count} {each}" for each, count in counts.items()),
            "ensemble": record.ensemble.state if record.ensemble else "",
            "best": json.dumps(record.best) if record.best else "",
            "started": record.started,
            "ended": record.ended,
        }

    def logs(self, write: Write, *, follow: bool) -> None:
        """What the trials have printed, each piece under the name of its trial."""
        shown: dict[Path, int] = {}
        last = None
        while True:
            active = follow and self._is_active()  # asked before reading, so that the last lines are not missed
            for log, piece in self._pieces(shown):
                if log != last:
                    last = log
                    write(1, f"==> trial {log.stem} <==\n".encode())
                write(1, piece)
            if not active:
                return
            time.sleep(_POLL_SECONDS)

    def _pieces(self, shown: dict[Path, int]) -> Iterator[tuple[Path, bytes]]:
        """What is new in each log. `shown`: how far each was read, which is kept up."""
        for log in sorted((self._folder / "logs").glob("[0-9e]*.log")):
            with log.open("rb") as file:
                file.seek(shown.get(log, 0))
                while piece := file.read(1 << 16):
                    yield log, piece
                shown[log] = file.tell()

    def stop(self) -> Sequence[StopResult]:
        """Asks the sweep to stop its trials and end, and waits for it."""
        record = SweepRecord.read(self._folder)
        if self._has_process(record):
            with suppress(ProcessLookupError):
                os.kill(int(record.launcher.partition("-")[0]), signal.SIGTERM)
            deadline = time.monotonic() + GRACE_SECONDS + 10
            while is_alive(record.launcher) and time.monotonic() < deadline:
                time.sleep(0.1)
            return [stop_result(RunPaths(self._folder), SweepRecord.read(self._folder).exit_code)]
        queue = self._queue(record)
        return [stop_result(RunPaths(self._folder), 143 if queue and queue.stop() else None)]

    def wait(self) -> int:
        while self._is_active():
            time.sleep(_POLL_SECONDS)
        exit_code = SweepRecord.read(self._folder).exit_code
        return 1 if exit_code is None else exit_code

    def download(self, outputs: Path) -> DownloadResult:
        raise UsageError(f"{self._folder} is on this machine already", hint="innereye-run ls lists its trials")

    def _is_active(self) -> bool:
        record = SweepRecord.read(self._folder)
        queue = None if self._has_process(record) else self._queue(record)
        return self._has_process(record) or (queue is not None and queue.is_active())

    def _has_process(self, record: SweepRecord) -> bool:
        return record.state == "running" and bool(record.launcher) and is_alive(record.launcher)

    def _queue(self, record: SweepRecord) -> TrialQueue | None:
        """Of a target where trials run without the sweep's process."""
        target = get_target(record.target)
        return target.queue(self._folder) if isinstance(target, QueueingTarget) else None
