"""Tables of a container: the csv file, what the report shows of it, and what is refused."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from innereye_runtime import add_confusion_matrix, add_figure, add_per_subject, add_table
from innereye_runtime.figures import figure_files
from innereye_runtime.report import write_report
from innereye_runtime.run.paths import RunPaths


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    figure_files._names_given.clear()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(root: Path) -> str:
    return write_report(RunPaths(root)).read_text()


def rows_of(html: str, kind: str) -> list[list[str]]:
    table = html.split(f'<table class="{kind}">')[1].split("</table>")[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_a_table_is_a_csv_file_and_a_part_of_the_report(root: Path) -> None:
    by_row = add_table([{"cohort": "<A>", "n": 4, "auc": np.float32(0.5)}, {"cohort": "B", "auc": math.nan}], "Cohorts")
    assert by_row.read_text() == "cohort,n,auc\n<A>,4,0.5\nB,,nan\n"
    assert rows_of(report(root), "plain") == [
        ["cohort", "n", "auc"],
        ["&lt;A&gt;", "4", "0.5"],
        ["B", "&ndash;", "&ndash;"],
    ]
    by_column = add_table({"cohort": ["A"], "n": [4]}, "Cohorts")
    assert by_column.name == "cohorts-2.csv"
    add_table({"n": list(range(1000))}, "Long")
    assert "500 more rows are in the file" in report(root)


def test_a_confusion_matrix_has_sensitivity_and_precision(root: Path) -> None:
    file = add_confusion_matrix(np.array([[50, 10], [0, 0]]), "Test", names=["benign", "malignant"])
    assert file.read_text().splitlines() == ["truth,benign,malignant", "benign,50.0,10.0", "malignant,0.0,0.0"]
    assert rows_of(report(root), "metrics confusion") == [
        ["truth, by row", "benign", "malignant", "sensitivity"],
        ["benign", "50", "10", "83.3 %"],
        ["malignant", "0", "0", "&ndash;"],
        ["precision", "100.0 %", "0.0 %", "83.3 %"],
    ]


def test_subjects_have_statistics_and_the_worst_come_first_with_their_pictures(root: Path) -> None:
    dice = [0.9, 0.5, 0.7, math.nan, 0.8]
    names = [f"p{n}" for n in range(5)]
    pictures = {name: add_figure(np.eye(3), f"Slice of {name}") for name in ("p1", "p4")}
    add_per_subject(
        {"patient": names, "dice": dice, "hd": [1, 2, 3, 4, 5], "site": list("abcde")},
        "By patient",
        subject="patient",
        worst=2,
        overlays=pictures,
    )
    html = report(root)
    statistics = [row[:5] for row in rows_of(html, "subjects")]
    assert statistics[1] == ["dice", "0.725 ± 0.1708", "0.75", "0.5 to 0.9", "4"]
    assert statistics[2] == ["hd", "3 ± 1.581", "3", "1 to 5", "5"]
    assert (
        np.quantile([0.9, 0.5, 0.7, 0.8], 0.25)
        == json.loads((root / "figures" / "figures.json").read_text())["figures"][2]["subjects"]["metrics"][0][
            "quartiles"
        ][1]
    )
    assert rows_of(html, "plain") == [["", "subject", "dice", "hd"], ["1", "p1", "0.5", "2"], ["2", "p2", "0.7", "3"]]
    added = html.split('<div class="added">')[1].split("</div></div>")[0]
    assert "Slice of p1" in added and "Slice of p4" not in added and html.count("<b>Slice of p1") == 1
    assert html.count('class="box"') == 2


def test_where_lower_is_better_the_highest_are_the_worst(root: Path) -> None:
    rows = [{"subject": name, "dice": 0.5, "hd": value} for name, value in (("a", 1), ("b", 9), ("c", 5))]
    add_per_subject(rows, "t", by="hd", lower_is_better=True, worst=1)
    html = report(root)
    assert rows_of(html, "plain")[1][1] == "b" and "1 of 3, the worst by hd" in html


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match="different lengths"):
        add_table({"a": [1], "b": []}, "t")
    with pytest.raises(ValueError, match="needs a column"):
        add_table([], "t")
    for matrix in ([[1, 2]], [1], [[1, -1], [0, 1]], [[math.nan]]):
        with pytest.raises(ValueError, match="confusion matrix"):
            add_confusion_matrix(matrix, "t")
    with pytest.raises(ValueError, match="1 names for 2 classes"):
        add_confusion_matrix(np.eye(2), "t", names=["a"])
    with pytest.raises(ValueError, match="no column 'subject'"):
        add_per_subject([{"dice": 1}], "t")
    with pytest.raises(ValueError, match="no column of numbers"):
        add_per_subject([{"subject": "a", "site": "x"}], "t")
    with pytest.raises(ValueError, match="'site' is not a column of numbers; those are dice"):
        add_per_subject([{"subject": "a", "dice": 1, "site": "x"}], "t", by="site")


@pytest.mark.parametrize("value", [None, 3, {}, {"rows": 3}, {"names": [], "counts": 3}, {"metrics": [{}], "worst": 1}])
@pytest.mark.parametrize("key", ["table", "confusion", "subjects"])
def test_an_index_that_someone_else_wrote_costs_that_table_alone(root: Path, key: str, value: object) -> None:
    add_table([{"a": 1}], "t")
    index = root / "figures" / "figures.json"
    index.write_text(json.dumps({"schema": 1, "figures": [{"file": "t.csv", "title": "t", key: value}]}))
    assert "figures/t.csv" in report(root) or "<h3>t</h3>" in report(root)
