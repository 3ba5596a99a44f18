"""run.json: attempts, atomic writes, and its published schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, recorded_exit_code, reserve_disk_space, state_of, write_json

SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "run.schema.json").read_text())


def record() -> RunRecord:
    return RunRecord(
        id="r", model="M", target="process", python="3.11", runtime_version="0",
        container={"class": "M", "module": "m", "file": "m.py"},
        code={"root": "c", "commit": None, "dirty": False, "diff": ""},
        hardware={"cpu": "c", "cores": 1, "memory_bytes": 1, "gpus": []},
    )  # fmt: skip


def test_what_is_written_is_read_back_and_fits_the_schema(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    written = record()
    written.begin_attempt("host")
    written.end_attempt("completed", 0, "")
    written.write(paths)
    assert RunRecord.read(paths) == written
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(paths.run_json.read_text()))


def test_the_schema_is_closed() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    assert any("'surprise' was unexpected" in error.message for error in validator.iter_errors({"surprise": 1}))


def test_an_attempt_that_never_told_its_end_was_killed() -> None:
    run = record()
    run.begin_attempt("one")
    run.begin_attempt("two")
    assert [(attempt.number, attempt.state) for attempt in run.attempts] == [(1, "stopped"), (2, "running")]
    assert "killed" in run.attempts[0].reason


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "unknown": 1, "attempts": []}'])
def test_a_file_that_is_no_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError, match=r"run\.json can't be read"):
        RunRecord.read(RunPaths(tmp_path))


def test_a_record_of_another_schema_is_named(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    record().write(paths)
    paths.run_json.write_text(paths.run_json.read_text().replace('"schema": 1', '"schema": 2'))
    with pytest.raises(UsageError, match=r"run\.json can't be read: its schema is not 1"):
        RunRecord.read(paths)


def test_a_next_attempt_opens_the_run_again_and_keeps_what_the_last_one_told() -> None:
    run = record()
    assert (run.state, run.begin_attempt("one").epoch) == ("running", 0)
    run.end_attempt("failed", 1, "why")
    assert run.begin_attempt("two") is run.attempt
    assert (run.state, run.reason, run.exit_code) == ("running", "", None)
    assert (run.attempts[0].state, run.attempts[0].reason) == ("failed", "why")


def test_a_job_tells_its_end_in_its_own_attempt(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    assert recorded_exit_code(paths, earlier=0) is None
    run = record()
    run.begin_attempt("host")
    run.end_attempt("failed", 42, "why")
    run.write(paths)
    assert recorded_exit_code(paths, earlier=0) == 42
    assert recorded_exit_code(paths, earlier=1) is None, "that was another job"


def test_a_full_disk_can_be_told_in_the_room_that_was_kept(tmp_path: Path, small_disk: Callable[[str], Path]) -> None:
    path = small_disk("1m") / "run.json"
    reserve_disk_space(path)
    with pytest.raises(OSError, match="No space"):
        (path.parent / "fills.bin").write_bytes(bytes(2 << 20))
    write_json(path, {"reason": "disk full"})
    assert json.loads(path.read_text()) == {"reason": "disk full"}
    assert {found.name for found in path.parent.iterdir()} == {"run.json", "fills.bin"}


def test_a_folder_without_a_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run folder"):
        RunRecord.read(RunPaths(tmp_path))


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"new": float("nan")})
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("exit_code", "state"), [(0, "completed"), (1, "failed"), (42, "failed"), (130, "interrupted"), (143, "stopped")]
)
def test_states(exit_code: int, state: str) -> None:
    assert state_of(exit_code) == state
