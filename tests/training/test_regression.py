"""The comparison of a run's outputs with expected ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime.errors import OutputError
from innereye_runtime.training.lifecycle.regression import check_regression, compare_folders


def write(root: Path, **files: str | bytes) -> Path:
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.mark.parametrize(
    ("expected", "actual", "problems"),
    [
        ({"a_txt": "one\r\ntwo\n"}, {"a_txt": " one\ntwo", "more_txt": "x"}, []),
        ({"a_txt": "one"}, {"a_txt": "two"}, ["a.txt has another content"]),
        ({"sub__a_txt": "one"}, {}, ["sub/a.txt is missing"]),
        ({"a_bin": b"\xff\0 "}, {"a_bin": b"\xff\0"}, ["a.bin has another content"]),
        ({"a_csv": "n,x\nb,1.0\n"}, {"a_csv": "n,x\nb,1.05\n"}, []),
        ({"a_csv": "n,x\nb,1.0\n"}, {"a_csv": "n,x\nb,1.2\n"}, ["a.csv: line 2 is b,1.2, not b,1.0"]),
        ({"a_csv": "n,x\nb,1.0\n"}, {"a_csv": "n,x\nc,1.0\n"}, ["a.csv: line 2 is c,1.0, not b,1.0"]),
        ({"a_csv": "x\n1\n"}, {"a_csv": "x\n"}, ["a.csv: 1 rows, not 2"]),
        ({"a_csv": "x\nnan\n"}, {"a_csv": "x\n1\n"}, ["a.csv: line 2 is 1, not nan"]),
    ],
)
def test_differences(tmp_path: Path, expected: dict[str, str], actual: dict[str, str], problems: list[str]) -> None:
    folders = write(tmp_path / "expected", **expected), write(tmp_path / "actual", **actual)
    assert compare_folders(*folders, csv_tolerance=0.1) == problems


@pytest.mark.parametrize(
    ("expected", "actual", "problems"),
    [
        ("1000", "1090", []),  # relative, as it was
        ("0.001", "0.0015", ["a.csv: line 2 is 0.0015, not 0.001"]),
        ("-10", "-10.9", []),
        ("0", "1e-9", []),
        ("0", "0.01", ["a.csv: line 2 is 0.01, not 0"]),
        ("NaN", "nan", []),
        ("inf", "1", ["a.csv: line 2 is 1, not inf"]),
    ],
)
def test_the_tolerance_of_csv_is_relative(tmp_path: Path, expected: str, actual: str, problems: list[str]) -> None:
    folders = [write(tmp_path / name, a_csv=f"x\n{value}\n") for name, value in (("e", expected), ("a", actual))]
    assert compare_folders(*folders, csv_tolerance=0.1) == problems
    if expected == "0":
        assert compare_folders(*folders, csv_tolerance=0) == [f"a.csv: line 2 is {actual}, not 0"]


def test_the_layout_of_the_toolbox_is_understood(tmp_path: Path) -> None:
    run = write(tmp_path / "run", metrics_csv="1", sub__a_txt="x", b_txt="new")
    expected = {"OUTPUT__metrics_csv": "1", "OUTPUT__sub__a_txt": "x"}
    expected_folder = write(tmp_path / "old", **expected)
    assert compare_folders(expected_folder, run, csv_tolerance=0) == []
    for folder, name in (("AZUREML_OUTPUT/outputs", "sub/a.txt"), ("AZUREML_OUTPUT", "b.txt"), ("OUTPUT", "b.txt")):
        path = expected_folder / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    parent = expected_folder / "AZUREML_PARENT_OUTPUT" / "c.txt"
    parent.parent.mkdir()
    parent.touch()
    assert compare_folders(expected_folder, run, csv_tolerance=0) == [
        "AZUREML_OUTPUT/b.txt has another content",
        "AZUREML_PARENT_OUTPUT/c.txt is of a parent run in AzureML, and a run here has no parent",
        "OUTPUT/b.txt has another content",
    ]


def test_a_difference_or_nothing_to_compare_with_ends_the_run(tmp_path: Path) -> None:
    expected, actual = write(tmp_path / "expected", a_txt="1"), write(tmp_path / "actual", a_txt="2")
    with pytest.raises(OutputError, match=r"a\.txt has another content"):
        check_regression(expected, actual, csv_tolerance=0)
    with pytest.raises(OutputError, match="no files to compare with"):
        check_regression(tmp_path / "nowhere", actual, csv_tolerance=0)
    check_regression(None, actual, csv_tolerance=0)
    check_regression(expected, write(tmp_path / "equal", a_txt="1\n", b_txt="more"), csv_tolerance=0)
