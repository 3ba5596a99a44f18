"""Which metrics share a chart, over which axis, and how a table that a restart wrote twice is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from innereye_runtime.report.curves import curves
from innereye_runtime.run.folder import read_run_folder
from innereye_runtime.run.metric_names import MetricName, parse_metric_name
from innereye_runtime.run.paths import RunPaths


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("train/Loss", MetricName("Loss", "train")),
        ("val_loss", MetricName("loss", "val")),
        ("validation.dice/grey", MetricName("dice/grey", "val")),
        ("Test-AUC", MetricName("AUC", "test")),
        ("loss/train", MetricName("loss", "train")),
        ("accuracy_val", MetricName("accuracy", "val")),
        ("train_loss_step", MetricName("loss", "train", "step")),
        ("val/loss_epoch", MetricName("loss", "val", "epoch")),
        ("value", MetricName("value")),
        ("training_speed", MetricName("speed", "train")),
        ("contest_score", MetricName("contest_score")),
        ("val", MetricName("val")),
        ("test/", MetricName("test/")),
        ("lr-Adam", MetricName("lr-Adam")),
    ],
)
def test_names_are_taken_apart(metric: str, expected: MetricName) -> None:
    assert parse_metric_name(metric) == expected


def drawn(tmp_path: Path, table: str) -> str:
    paths = RunPaths(tmp_path)
    paths.metrics_csv.write_text(table)
    return curves(read_run_folder(paths))


def series(html: str) -> list[tuple[str, str]]:
    return re.findall(r'data-name="([^"]+)" data-points="([^"]+)"', html)


def test_train_and_val_of_one_quantity_share_a_chart_over_epochs(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,val_Loss,train/loss\n0,9,,4\n0,9,3,\n1,19,,2\n1,19,1,\n")
    assert html.count("<svg") == 1
    assert series(html) == [("train", "0,4 1,2"), ("val", "0,3 1,1")]
    assert ">epoch</text>" in html


def test_values_within_an_epoch_are_drawn_over_steps(tmp_path: Path) -> None:
    html = drawn(
        tmp_path, "epoch,step,train_loss_step,train_loss_epoch\n0,0,4,\n0,5,3,\n0,9,,3.5\n1,14,2,\n1,19,,2.5\n"
    )
    assert series(html) == [("train (step)", "0,4 5,3 14,2"), ("train (epoch)", "9,3.5 19,2.5")]
    assert ">step</text>" in html


def test_losses_come_first_and_learning_rates_last(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,lr-Adam,train/dice,train/loss\n0,1,1,1,1\n1,2,2,2,2\n")
    assert re.findall(r"<figcaption>([^<]+)", html) == ["loss", "dice", "lr-Adam"]


def test_many_charts_are_folded_away(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(12)]
    html = drawn(tmp_path, f"epoch,step,{','.join(names)}\n0,1{',1' * 12}\n1,2{',2' * 12}\n")
    assert "<summary>3 more curves</summary>" in html


def test_a_test_value_is_no_point_of_the_training_curves(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,val/auc,test/auc\n0,1,0.7,\n1,2,0.8,\n2,3,,0.9\n")
    assert series(html) == [("val", "0,0.7 1,0.8")]


def test_one_value_is_no_curve(tmp_path: Path) -> None:
    assert drawn(tmp_path, "epoch,step,test/auc\n3,4,0.9\n") == ""


def test_rows_logged_again_after_a_restart_count_once(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,loss\n0,1,9\n1,2,8\n2,3,7\n1,2,6\n2,3,5\n3,4,4\n")
    assert series(html) == [("logged", "0,9 1,6 2,5 3,4")]


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,loss\n0,1,1\n1,2,nan\n2,3,inf\n3,4,2\n")
    assert series(html) == [("logged", "0,1 3,2")]
    assert "2 not finite, left out" in html


def test_a_table_without_epochs_or_with_odd_cells_is_drawn(tmp_path: Path) -> None:
    assert series(drawn(tmp_path, "loss\n3\nx\n2\n")) == [("logged", "0,3 2,2")]
    assert series(drawn(tmp_path, "epoch,step,loss\n0,1,3\n1\n2,3,2,7,7\n")) == [("logged", "0,3 2,2")]


def test_metrics_of_one_name_after_splitting_stay_apart(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,train/loss,train_loss\n0,1,1,2\n1,2,3,4\n")
    assert series(html) == [("train", "0,1 1,3"), ("train 2", "0,2 1,4")]


def test_the_best_epoch_is_marked(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"checkpoints": {"best": {"epoch": 1}}}')
    assert ">best</text>" in drawn(tmp_path, "epoch,step,loss\n0,1,1\n1,2,2\n2,3,3\n")


def test_a_report_of_two_thousand_metrics_over_500_epochs_is_under_3_megabytes(tmp_path: Path) -> None:
    names = [f"train/m{number}" for number in range(1_999)] + ["val/loss"]
    rows = [
        f"{epoch},{epoch},{','.join(f'{(epoch * 37 + at) % 101 / 7:.5f}' for at in range(2_000))}"
        for epoch in range(500)
    ]
    html = drawn(tmp_path, "\n".join([f"epoch,step,{','.join(names)}", *rows, ""]))
    assert len(html.encode()) < 3_000_000
    figures = re.findall(r"<figcaption>([^<]+)", html)
    assert (len(figures), figures[0]) == (120, "loss")
    assert "1,880 more metrics are in metrics.csv, with all values: m" in html
