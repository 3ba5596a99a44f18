"""The runs of a folder: what is listed, and that the index never shows what is no longer so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.run.records import record, run_folder

from innereye_runtime.errors import UsageError
from innereye_runtime.run import listing
from innereye_runtime.run.conditions import chosen, sort_key
from innereye_runtime.run.listing import INDEX, list_runs


def attempts(day: int) -> list[dict[str, Any]]:
    return [{"started": f"2026-11-{day:02}T10:00:00Z", "ended": f"2026-11-{day:02}T10:01:05Z", "state": "completed"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for day, loss in ((1, 0.5), (2, 0.1), (3, 0.3)):
        run_folder(tmp_path, f"run{day}", attempts=attempts(day), metrics={"val": {"val/loss": loss}})
    (tmp_path / "something else").mkdir()
    (tmp_path / "a file").write_text("")
    return tmp_path


def test_runs_are_listed_newest_first_with_what_they_came_to(folder: Path) -> None:
    runs = list_runs(folder)
    assert [run.name for run in runs] == ["run3", "run2", "run1"]
    assert (runs[0].state, runs[0].seconds, runs[0].metrics) == ("completed", 65, {"val/loss": 0.3})
    assert runs[0].parameters == {"num_layers": 7, "l_rate": 0.01, "num_epochs": 4}


def test_a_run_that_changed_after_it_was_listed_is_read_again(folder: Path) -> None:
    list_runs(folder)
    (folder / "run2" / "run.json").write_text(json.dumps(record(attempts=attempts(2), state="failed", exit_code=1)))
    (folder / "run1" / "outputs.json").unlink()
    (folder / "run3" / "run.json").unlink()
    assert {run.name: run.state for run in list_runs(folder)} == {"run2": "failed", "run1": "incomplete"}


@pytest.mark.parametrize(
    "index", [None, "", "[]", '{"version": 1, "runs": 3}', '{"version": 1, "runs": {"run1": [1]}}']
)
def test_an_index_that_is_lost_or_broken_is_rebuilt(folder: Path, index: str | None) -> None:
    expected = list_runs(folder)
    if index is None:
        (folder / INDEX).unlink()
    else:
        (folder / INDEX).write_text(index)
    assert list_runs(folder) == expected
    assert len(json.loads((folder / INDEX).read_text())["runs"]) == 3


def test_runs_that_the_index_knows_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = list_runs(folder)
    monkeypatch.setattr(listing, "summarize", lambda path: pytest.fail(f"{path} was read"))
    assert list_runs(folder) == expected


def test_a_record_that_is_cut_off_is_listed_as_unreadable(folder: Path) -> None:
    (folder / "run2" / "run.json").write_text('{"schema": 1, "sta')
    assert {run.name: run.state for run in list_runs(folder)}["run2"] == "unreadable"


def test_a_folder_that_cannot_be_written_is_listed_all_the_same(folder: Path) -> None:
    folder.chmod(0o555)
    try:
        assert len(list_runs(folder)) == 3
        assert os.geteuid() == 0 or not (folder / INDEX).exists()
    finally:
        folder.chmod(0o755)


def test_conditions_are_of_metrics_parameters_and_fields(folder: Path) -> None:
    runs = list_runs(folder)

    def names(*conditions: str) -> list[str]:
        return [run.name for run in chosen(runs, conditions)]

    assert names("val/loss<0.4") == ["run3", "run2"]
    assert names("val/loss <= 0.3", "started>2026-11-02T12") == ["run3"]
    assert names("num_layers=7", "state!=completed") == []
    assert [run.name for run in sorted(runs, key=lambda run: sort_key(run, "val/loss"))] == ["run2", "run3", "run1"]


@pytest.mark.parametrize("condition", ["val/loss", "val/los<1", "val/loss<low"])
def test_a_condition_that_can_not_be_meant_is_refused(folder: Path, condition: str) -> None:
    with pytest.raises(UsageError) as refused:
        chosen(list_runs(folder), [condition])
    assert refused.value.hint


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be listed"):
        list_runs(tmp_path / "nowhere")
