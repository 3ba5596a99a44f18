"""run.json: the record of a run over all of its attempts, rewritten atomically. Its shape is schema/run.schema.json."""

from __future__ import annotations

import errno
import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.redaction import redacted_data
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.plain_types import parse_json, problem_of

_ROOM = 256 << 10

State = Literal["starting", "running", "completed", "failed", "interrupted", "stopped"]


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One start of the running side in this run folder."""

    number: int
    started: str
    host: str
    ended: str | None = None
    state: State = "running"
    exit_code: int | None = None
    reason: str = ""
    resumed_from: str | None = None
    """The checkpoint that training went on from, relative to the run folder."""
    epoch: int = 0
    """The number of epochs that were complete when the attempt started."""
    notes: list[str] = field(default_factory=list)
    """What was not as it should be at its start, such as checkpoints that can't be read."""
    resume_exact: bool | None = None
    """Of an attempt that resumed: whether all that training depends on was put back."""
    because: list[str] = field(default_factory=list)
    """Why it was not."""


@dataclass(slots=True, kw_only=True)
class RunRecord:
    """What stands in run.json. Change it and call `write`; a reader sees the old or the new one, never a half."""

    id: str
    model: str
    target: str
    seed: int = 0
    smoke: bool = False
    state: State = "running"
    reason: str = ""
    exit_code: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    manifest: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    model_summary: dict[str, Any] = field(default_factory=dict)
    """Number and bytes of the model's parameters, and its layers; empty where they were not known yet."""
    code: dict[str, Any] = field(default_factory=dict)
    image: dict[str, Any] | None = None
    packages: dict[str, str] = field(default_factory=dict)
    python: str = ""
    runtime_version: str = ""
    hardware: dict[str, Any] = field(default_factory=dict)
    datasets: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds of the last attempt, by step."""

    @classmethod
    def read(cls, paths: RunPaths) -> Self:
        """The record in a run folder.

        Raises:
            UsageError: there is none, or it is not one that this version can read.
        """
        try:
            values = parse_json(paths.run_json.read_text(encoding="utf-8"))
            if not isinstance(values, dict) or values.pop("schema", None) != 1:
                raise ValueError("its schema is not 1")
            values["attempts"] = [Attempt(**attempt) for attempt in values["attempts"]]
            record = cls(**values)
        except (FileNotFoundError, NotADirectoryError):
            raise UsageError(
                f"{paths.root} is not a run folder: it has no run.json", hint="name a folder that innereye-run printed"
            ) from None
        except OSError as error:
            raise UsageError(f"{paths.run_json} can't be read: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{paths.run_json} can't be read: {error}") from error
        if problem := problem_of(record):
            raise UsageError(f"{paths.run_json} can't be read: {problem}")
        return record

    @property
    def attempt(self) -> Attempt:
        """The newest attempt; one that is starting has none yet."""
        return self.attempts[-1]

    def begin_attempt(self, host: str) -> Attempt:
        """The next attempt, running from now on. An earlier one that never told its end was killed, and is marked
        so.
        """
        for earlier in self.attempts:
            if earlier.state == "running":
                earlier.state, earlier.reason = "stopped", "killed (no reason recorded)"
        self.attempts.append(Attempt(number=len(self.attempts) + 1, started=utc_now(), host=host))
        self.state, self.reason, self.exit_code = "running", "", None
        return self.attempt

    def pass_on(self, reason: str) -> None:
        """Closes the newest attempt; the run is at work, as another attempt follows at once."""
        self.attempt.ended, self.attempt.state, self.attempt.reason = utc_now(), "stopped", reason

    def end_attempt(self, state: State, exit_code: int, reason: str) -> None:
        """Closes the newest attempt, and the run with it."""
        attempt = self.attempt
        attempt.ended, attempt.state, attempt.exit_code, attempt.reason = utc_now(), state, exit_code, reason
        self.state, self.exit_code, self.reason = state, exit_code, reason

    def to_data(self) -> dict[str, Any]:
        """What run.json has, without credentials."""
        data: dict[str, Any] = redacted_data({"schema": 1, **asdict(self)})
        return data

    def write(self, paths: RunPaths) -> None:
        """Replaces run.json with this record, atomically."""
        write_json(paths.run_json, self.to_data())


def state_of(exit_code: int) -> State:
    """The state that a run with this exit code ends in."""
    match exit_code:
        case ExitCode.DONE:
            return "completed"
        case ExitCode.INTERRUPTED:
            return "interrupted"
        case ExitCode.STOPPED:
            return "stopped"
        case _:
            return "failed"


def is_complete(paths: RunPaths, record: RunRecord) -> bool:
    """Whether the run is complete: outputs.json, which is the last of its files, lists all the others."""
    return record.state == "completed" and paths.outputs_json.is_file()


def count_attempts(paths: RunPaths) -> int:
    """The number of attempts so far; 0 where there is no record that can be read."""
    try:
        return len(RunRecord.read(paths).attempts)
    except UsageError:
        return 0


def recorded_exit_code(paths: RunPaths, *, earlier: int) -> int | None:
    """The exit code of a job that told its end, though it was killed then; None where it did not come to that.

    `earlier`: the number of attempts before the job started.
    """
    if count_attempts(paths) <= earlier:
        return None
    return RunRecord.read(paths).exit_code


def record_exit(paths: RunPaths, exit_code: int, reason: str, *, earlier: int) -> None:
    """Writes how a job ended into run.json, where there is one.

    `earlier`: the number of attempts before the job started; one that ended before it could write that it began gets
    an attempt all the same.
    """
    if paths.run_json.exists():
        record = RunRecord.read(paths)
        if len(record.attempts) <= earlier:
            record.begin_attempt(socket.gethostname())
        record.end_attempt(state_of(exit_code), exit_code, reason)
        record.write(paths)


def record_early_exit(paths: RunPaths, exit_code: int) -> None:
    """Writes how a job ended into a run.json that has no attempt: the running side ended before it began one."""
    try:
        record = RunRecord.read(paths)
    except UsageError:
        return
    if record.state == "starting":
        record.begin_attempt(socket.gethostname())
        record.end_attempt(state_of(exit_code), exit_code, "ended before training began; its console says why")
        record.write(paths)


def utc_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` such that a reader, or a restart after a kill, finds the old file or the new one.

    On a full disk it takes the room that `reserve_disk_space` kept for it.

    Raises:
        OSError: the disk is full or the folder can't be written; the old file is untouched.
        ValueError: `value` holds NaN or infinity, which JSON has not.
    """
    try:
        _write_json(path, value)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _room(path).exists():
            raise
        release_disk_space(path)
        _write_json(path, value)


def reserve_disk_space(path: Path) -> None:
    """Keeps some room beside `path`, so that a full disk can still be told there.

    Raises:
        OSError: there is none already.
    """
    _room(path).write_bytes(bytes(_ROOM))


def release_disk_space(path: Path) -> None:
    """Undoes `reserve_disk_space`, where it was done."""
    _room(path).unlink(missing_ok=True)


def _room(path: Path) -> Path:
    return path.with_name(f".{path.name}.room")


def _write_json(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
