"""A run's outputs held against expected ones: the regression test that a container asks for by
`regression_test_folder`.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

from innereye_runtime.errors import OutputError

OUTPUT, UPLOADED, PARENT = "OUTPUT", "AZUREML_OUTPUT", "AZUREML_PARENT_OUTPUT"
"""Folders of the InnerEye toolbox: what the run wrote, what its job in AzureML had, what the job's parent had."""
_SMALLEST = 1e-8
"""Added to a tolerance, as pandas does, so that a number beside an expected 0 can pass."""


def compare_folders(expected: Path, actual: Path, *, csv_tolerance: float) -> list[str]:
    """How `actual` differs from `expected`, a sentence a file. Files that only `actual` has don't count.

    Text is compared without regard to line ends and to space around lines, CSV by cell with numbers that differ by
    at most `csv_tolerance` times the expected one, and everything else byte by byte.
    """
    problems = []
    for path in sorted(path for path in expected.rglob("*") if path.is_file()):
        name = path.relative_to(expected)
        if name.parts[0] == PARENT and len(name.parts) > 1:
            problems.append(f"{name} is of a parent run in AzureML, and a run here has no parent")
            continue
        other = actual / _in_run(name)
        if not other.is_file():
            problems.append(f"{name} is missing")
        elif path.suffix == ".csv":
            problems += [f"{name}: {problem}" for problem in _compare_csv(path, other, csv_tolerance)]
        elif not _equal(path, other):
            problems.append(f"{name} has another content")
    return problems


def _in_run(name: Path) -> Path:
    """The place in the run folder of an expected file, in today's layout or in that of the InnerEye toolbox."""
    first, *rest = name.parts
    if not rest or first not in (OUTPUT, UPLOADED):
        return name
    below = Path(*rest)
    return below.relative_to("outputs") if first == UPLOADED and rest[0] == "outputs" and len(rest) > 1 else below


def check_regression(expected: Path | None, actual: Path, *, csv_tolerance: float) -> None:
    """Returns where there is nothing to compare with, or nothing differs.

    Raises:
        OutputError: something differs, or the folder of expected outputs has no file.
    """
    if expected is None:
        return
    if not any(path.is_file() for path in expected.rglob("*")):
        raise OutputError(
            f"regression_test_folder: {expected} has no files to compare with",
            hint="name the one of expected outputs",
        )
    problems = compare_folders(expected, actual, csv_tolerance=csv_tolerance)
    if problems:
        raise OutputError(
            f"the outputs are not those in {expected}: {'; '.join(problems)}",
            hint="where the change is meant, copy the new outputs there",
        )


def _equal(expected: Path, actual: Path) -> bool:
    first, second = expected.read_bytes(), actual.read_bytes()
    if first == second:
        return True
    try:
        texts = first.decode(), second.decode()
    except UnicodeDecodeError:
        return False
    return _stripped(texts[0]) == _stripped(texts[1])


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def _compare_csv(expected: Path, actual: Path, tolerance: float) -> list[str]:
    with expected.open(newline="") as first, actual.open(newline="") as second:
        rows, others = list(csv.reader(first)), list(csv.reader(second))
    if len(rows) != len(others):
        return [f"{len(others)} rows, not {len(rows)}"]
    for number, (row, other) in enumerate(zip(rows, others, strict=True), 1):
        if len(row) != len(other) or not all(map(_close, row, other, [tolerance] * len(row))):
            return [f"line {number} is {','.join(other)}, not {','.join(row)}"]
    return []


def _close(expected: str, actual: str, tolerance: float) -> bool:
    if expected == actual:
        return True
    try:
        wanted, found = float(expected), float(actual)
    except ValueError:
        return False
    if not math.isfinite(wanted) or not math.isfinite(found):
        return wanted == found or (math.isnan(wanted) and math.isnan(found))
    return abs(found - wanted) <= (_SMALLEST + tolerance * abs(wanted) if tolerance else 0.0)
