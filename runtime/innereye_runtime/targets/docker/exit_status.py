"""How a container ended: exit code and reason in plain words, and both in run.json where it could not say so itself."""

from __future__ import annotations

import platform
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from innereye_runtime.errors import ExitCode
from innereye_runtime.manifest.units import Memory
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, release_disk_space, state_of

_RESUME = "innereye-run resume, with the run folder, continues from its newest checkpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    exit_code: int
    reason: str
    """Empty where the running side is the one that knows."""
    hint: str = ""


def exit_status_of(
    state: Mapping[str, Any], *, memory: Memory, shared_memory: Memory, stopped_by: int | None
) -> ExitStatus:
    """From the engine's `State` of a container that ended, and the signal that it was asked to end with, if any."""
    code = int(state["ExitCode"])
    if stopped_by is not None and code > 128:
        asked = ExitCode.INTERRUPTED if stopped_by == signal.SIGINT else ExitCode.STOPPED
        name = signal.Signals(stopped_by).name
        if code == 128 + signal.SIGKILL:
            return ExitStatus(exit_code=asked, reason=f"did not end in time after {name}, and was killed", hint=_RESUME)
        return ExitStatus(exit_code=asked, reason=f"ended by {name} before or after training, with nothing to save")
    if code == 128 + signal.SIGKILL or (state.get("OOMKilled") and code > 128):
        if state.get("OOMKilled"):
            return ExitStatus(
                exit_code=128 + signal.SIGKILL,
                reason=f"out of memory: the job needed more than its {memory}",
                hint="raise compute.docker.memory, or use a smaller batch or fewer workers",
            )
        return ExitStatus(exit_code=code, reason="killed from outside (SIGKILL)", hint=_RESUME)
    if code == 128 + signal.SIGBUS:
        return ExitStatus(
            exit_code=code,
            reason=f"out of shared memory: the job needed more than its {shared_memory}",
            hint="raise compute.shm_size, or use fewer workers",
        )
    if code > 128:
        return ExitStatus(exit_code=code, reason=f"ended by {_name(code - 128)}")
    return ExitStatus(exit_code=code, reason="")


def finalize_run_record(paths: RunPaths, end: ExitStatus, *, model: str, earlier: int = 0) -> str:
    """Writes the end into run.json and the console's log where the running side could not, and returns the log's lines.

    '' where the running side has told its end itself. `earlier`: the number of attempts before the container started.
    """
    if paths.run_json.is_file():
        record = RunRecord.read(paths)
    else:
        record = RunRecord(id=paths.root.name, model=model, target="docker")
    if not record.attempts or (end.reason and len(record.attempts) <= earlier):
        record.begin_attempt(platform.node())  # it ended before it could write that it began
    # One that was ended while it wrote the list of its outputs is not complete, whatever it wrote before.
    if record.state != "running" and not (record.state == "completed" and end.reason):
        return ""
    reason = end.reason or "ended (no reason recorded)"
    record.end_attempt(state_of(end.exit_code), end.exit_code, reason)
    record.write(paths)
    release_disk_space(paths.run_json)
    lines = f"error: {reason}\n" + (f"hint: {end.hint}\n" if end.hint else "")
    if paths.logs.is_dir():
        with paths.console_log.open("a", encoding="utf-8") as log:
            log.write(lines)
    return lines


def _name(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:
        return f"signal {signum}"
