"""Which metrics share a chart, over which axis, and how a table that a restart wrote twice is read."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.report import write_report
from innereye_runtime.report.curves import curves
from innereye_runtime.report.grouping import families
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
    assert series(html) == [("train", "1,4 2,2"), ("val", "1,3 2,1")]
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
    assert series(html) == [("val", "1,0.7 2,0.8")]


def test_one_value_is_no_curve(tmp_path: Path) -> None:
    assert drawn(tmp_path, "epoch,step,test/auc\n3,4,0.9\n") == ""


def test_rows_logged_again_after_a_restart_count_once(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,loss\n0,1,9\n1,2,8\n2,3,7\n1,2,6\n2,3,5\n3,4,4\n")
    assert series(html) == [("logged", "1,9 2,6 3,5 4,4")]


def test_values_that_are_not_finite_are_counted(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,loss\n0,1,1\n1,2,nan\n2,3,inf\n3,4,2\n")
    assert series(html) == [("logged", "1,1 4,2")]
    assert "2 not finite, left out" in html


def test_a_table_without_epochs_or_with_odd_cells_is_drawn(tmp_path: Path) -> None:
    assert series(drawn(tmp_path, "loss\n3\nx\n2\n")) == [("logged", "0,3 2,2")]
    assert series(drawn(tmp_path, "epoch,step,loss\n0,1,3\n1\n2,3,2,7,7\n")) == [("logged", "1,3 3,2")]


def test_metrics_of_one_name_after_splitting_stay_apart(tmp_path: Path) -> None:
    html = drawn(tmp_path, "epoch,step,train/loss,train_loss\n0,1,1,2\n1,2,3,4\n")
    assert series(html) == [("train", "1,1 2,3"), ("train 2", "1,2 2,4")]


def test_the_best_epoch_is_marked(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"checkpoints": {"best": {"epoch": 1}}}')
    assert ">best</text>" in drawn(tmp_path, "epoch,step,loss\n0,1,1\n1,2,2\n2,3,3\n")


def test_the_end_of_an_attempt_is_marked_where_the_next_one_resumed(tmp_path: Path) -> None:
    attempts = '[{"resumed_from": null, "epoch": 0}, {"resumed_from": "checkpoints/last.ckpt", "epoch": 2}]'
    (tmp_path / "run.json").write_text(f'{{"attempts": {attempts}, "checkpoints": {{"best": {{"epoch": 1}}}}}}')
    html = drawn(tmp_path, "epoch,step,loss\n" + "".join(f"{e},{e},1\n" for e in range(20)))
    assert html.count(">resumed</text>") == 1
    heights = re.findall(r'y="([\d.]+)" text-anchor="\w+">(?:best|resumed)<', html)
    assert len(set(heights)) == 2, "their texts do not stand on each other"
    by_step = drawn(tmp_path, "epoch,step,loss\n0,1,1\n0,2,1\n1,3,2\n2,4,3\n3,5,1\n")
    assert ">resumed</text>" in by_step and ">best</text>" not in by_step


STRUCTURES = ("heart", "lung_left", "liver")


def test_a_metric_of_several_structures_is_one_chart_with_a_line_each(tmp_path: Path) -> None:
    names = [f"{split}/{s}/{m}" for split in ("train", "val") for s in STRUCTURES for m in ("dice", "hausdorff")]
    rows = [",".join([str(e), str(e), *(f"0.{e}{n}" for n in range(len(names)))]) for e in range(2)]
    html = drawn(tmp_path, f"epoch,step,{','.join([*names, 'val/loss'])}\n" + "".join(f"{row},1\n" for row in rows))
    titles = re.findall(r"<figcaption>([^<]+)", html)
    assert titles == ["loss", "dice (train)", "hausdorff (train)", "dice (val)", "hausdorff (val)"]
    assert [name for name, _ in series(html)][1:4] == list(STRUCTURES)
    assert html.count('aria-pressed="true"') == 12
    assert "3 lines" not in html and "heart 0" in html


@pytest.mark.parametrize(
    ("names", "grids"),
    [
        (["heart/dice", "lung/dice", "liver/dice"], [(("dice",), ("heart", "lung", "liver"))]),
        (["dice/heart", "dice/lung", "dice/liver"], [(("dice",), ("heart", "lung", "liver"))]),
        (["a/x", "a/y", "b/x", "b/y"], [(("x", "y"), ("a", "b"))]),
        (["a/x", "b/x"], []),
        (["grey/dice", "white/dice"], [(("dice",), ("grey", "white"))]),
        (["dice/grey", "dice/white"], [(("dice",), ("grey", "white"))]),
        (
            ["grey/dice", "grey/hd95_mm", "grey/volume_error", "white/dice", "white/hd95_mm", "white/volume_error"],
            [(("dice", "hd95_mm", "volume_error"), ("grey", "white"))],
        ),
        (["lossy/x", "b/x"], []),
        (["loss", "time/loading", "/x", "a/"], []),
        (["h/d", "l/d", "k/d", "time/t", "p/q", "p/r", "p/s"], [(("d",), ("h", "l", "k")), (("p",), ("q", "r", "s"))]),
    ],
)
def test_grids_are_found_whichever_side_the_structure_is_on(names: list[str], grids: list[Any]) -> None:
    assert [(each.metrics, each.structures) for each in families(names)] == grids


def test_2000_metrics_of_500_epochs_fit_into_3_mb_and_none_is_lost(tmp_path: Path) -> None:
    names = [f"m{number}" for number in range(2000)]
    rows = "".join(f"{e},{e}," + ",".join(f"{math.sin(e + n):.5f}" for n in range(2000)) + "\n" for e in range(500))
    (tmp_path / "metrics.csv").write_text(f"epoch,step,{','.join(names)}\n{rows}")
    (tmp_path / "metrics.json").write_text(json.dumps({"train": dict.fromkeys(names, 0.123456789)}))
    html = write_report(RunPaths(tmp_path)).read_text()
    assert len(html) < 3_000_000
    shown = set(re.findall(r"<figcaption>(m\d+)<", html)) | set(re.findall(r'row">(m\d+) logged<', html))
    assert shown == set(names)
