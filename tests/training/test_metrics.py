"""metrics.csv survives new columns, restarts and kills; metrics go to the split that their name begins with."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from innereye_runtime.training.lightning.metrics import MetricsTable, split_metrics


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_call_is_a_row_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    table.log_metrics({"train/loss": 0.5, "epoch": 0}, step=3)
    assert rows(path) == [{"epoch": "0", "step": "3", "train/loss": "0.5"}]
    table.finalize("success")


def test_a_metric_that_comes_later_gets_a_column_and_earlier_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    table = MetricsTable(path)
    table.log_metrics({"a": 1.0, "epoch": 0}, step=0)
    table.log_metrics({"b, with comma": 2.0}, step=1)
    table.log_metrics({"a": 3.0, "epoch": 1}, step=2)
    table.finalize("success")
    assert rows(path) == [
        {"epoch": "0", "step": "0", "a": "1.0", "b, with comma": ""},
        {"epoch": "0", "step": "1", "a": "", "b, with comma": "2.0"},
        {"epoch": "1", "step": "2", "a": "3.0", "b, with comma": ""},
    ]


def test_a_restart_drops_the_rows_that_will_be_written_again(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = MetricsTable(path)
    for step in range(6):
        first.log_metrics({"a": float(step), "epoch": step // 2}, step=step)
    first.finalize("failed")
    again = MetricsTable(path)
    again.restart(4)
    again.log_metrics({"a": 40.0, "b": 1.0, "epoch": 2}, step=4)
    again.finalize("success")
    assert [(row["step"], row["a"]) for row in rows(path)] == [
        ("0", "0.0"),
        ("1", "1.0"),
        ("2", "2.0"),
        ("3", "3.0"),
        ("4", "40.0"),
    ]


@pytest.mark.parametrize(
    ("metric", "split"),
    [
        ("train/loss", "train"),
        ("val/Loss", "val"),
        ("val_loss", "val"),
        ("validation-dice", "val"),
        ("loss_val", "val"),
        ("test.auc", "test"),
        ("TEST/x", "test"),
        ("loss", "train"),
        ("valuable", "train"),
        ("testament/x", "train"),
    ],
)
def test_the_split_of_a_metric(metric: str, split: str) -> None:
    assert split_metrics({metric: 1.0})[split] == {metric: 1.0}


def test_values_that_json_has_not_become_none() -> None:
    assert split_metrics({"val/b": math.nan, "val/a": 1.0, "test/c": math.inf}) == {
        "train": {},
        "val": {"val/a": 1.0, "val/b": None},
        "test": {"test/c": None},
    }
