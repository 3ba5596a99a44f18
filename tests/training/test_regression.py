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


def test_a_difference_or_nothing_to_compare_with_ends_the_run(tmp_path: Path) -> None:
    expected, actual = write(tmp_path / "expected", a_txt="1"), write(tmp_path / "actual", a_txt="2")
    with pytest.raises(OutputError, match=r"a\.txt has another content"):
        check_regression(expected, actual, csv_tolerance=0)
    with pytest.raises(OutputError, match="no files to compare with"):
        check_regression(tmp_path / "nowhere", actual, csv_tolerance=0)
    check_regression(None, actual, csv_tolerance=0)
    check_regression(expected, write(tmp_path / "equal", a_txt="1\n", b_txt="more"), csv_tolerance=0)
