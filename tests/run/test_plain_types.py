"""A damaged run.json is one clear line, and no traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.errors import UsageError
from innereye_runtime.report import write_report
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.plain_types import parse_json
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.process_runs import ProcessRun


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


WRONG = (None, True, -1, "", "x\x1b[2J", [], {"a": 1}, [[]], nested(90), nested(500), 10**400)


def sound() -> dict[str, Any]:
    record = RunRecord(id="r", model="M", target="process", timings={"training": 1.0}, metrics={"train": {"loss": 1.0}})
    record.begin_attempt("host")
    record.end_attempt("completed", 0, "")
    record.checkpoints = {"best": {"path": "x", "epoch": 1, "weights_sha256": "a", "value": 1.0, "reason": "r"}}
    record.arguments = {"rate": {"value": 1, "origin": "default"}}
    record.hardware = {"cpu": "c", "cores": 1, "memory_bytes": 1, "gpus": []}
    return record.to_data()


def places(value: Any, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*above, key)
        yield from places(inner, (*above, key))


@pytest.mark.parametrize("place", list(places(sound())), ids=str)
def test_a_wrong_value_anywhere_is_an_error_of_one_line_or_harmless(tmp_path: Path, place: tuple[Any, ...]) -> None:
    paths = RunPaths(tmp_path)
    for number, wrong in enumerate(WRONG):
        content = copy.deepcopy(sound())
        inner = content
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = wrong
        paths.run_json.write_text(json.dumps(content))
        try:
            RunRecord.read(paths).write(paths)
            ProcessRun(paths).status()
        except UsageError as error:
            assert str(error).startswith(f"{paths.run_json} can't be read: ")
            assert "\n" not in str(error)
            assert "\x1b" not in str(error)
        if number == 0 or number == len(WRONG) - 1:
            write_report(paths)


@pytest.mark.parametrize(
    ("place", "wrong", "named"),
    [("packages", [1], "'packages' is a list"), ("state", "odd", "'state' is 'odd'"), ("seed", None, "'seed' is null")],
)
def test_the_error_names_the_place(tmp_path: Path, place: str, wrong: Any, named: str) -> None:
    paths = RunPaths(tmp_path)
    paths.run_json.write_text(json.dumps({**sound(), place: wrong}))
    with pytest.raises(UsageError, match=rf"run\.json can't be read: {named}"):
        RunRecord.read(paths)


def test_nesting_and_digits_have_bounds() -> None:
    assert parse_json(json.dumps(nested(90))) == nested(90)
    for text in (json.dumps(nested(200)), "[" * 100_000, "1" * 301):
        with pytest.raises(ValueError, match=r"nested too deep|301 digits"):
            parse_json(text)


def test_a_folder_without_or_with_an_unreadable_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for root in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(UsageError, match="is not a run folder"):
            RunRecord.read(RunPaths(root))
    (tmp_path / "run.json").mkdir()
    with pytest.raises(UsageError, match=r"run\.json can't be read: Is a directory"):
        RunRecord.read(RunPaths(tmp_path))
