"""Tables for the report, from any code of a container: `add_table`, `add_confusion_matrix`, `add_per_subject`.

    from innereye_runtime import add_confusion_matrix, add_per_subject, add_table

    add_table([{"cohort": "A", "patients": 40}, {"cohort": "B", "patients": 12}], "Cohorts")
    add_confusion_matrix([[50, 3], [4, 60]], "Test", names=["benign", "malignant"])
    add_per_subject([{"subject": "p1", "dice": 0.91}, {"subject": "p2", "dice": 0.74}], "Dice by patient")

Each is a csv file in `figures/` too, with every row; the report shows the first ones, or what they come to.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from innereye_runtime.figures.figure_files import store, write_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_SHOWN_ROWS = 500
"""Of a table, in the report."""

Rows = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]


def add_table(rows: Rows, title: str, caption: str = "") -> Path:
    """The csv file of a table that is now part of the report.

    Args:
        rows: A mapping for each row, or a sequence for each column; a DataFrame of pandas is taken too.

    Raises:
        ValueError: columns of different lengths, or no column.
    """
    columns, values = _read(rows)
    shown = [[_plain(value) for value in row] for row in values[:_SHOWN_ROWS]]
    table = {"columns": columns, "rows": shown, "count": len(values)}
    return _add(title, caption, columns, values, table=table)


def add_confusion_matrix(matrix: ArrayLike, title: str, caption: str = "", *, names: Sequence[str] = ()) -> Path:
    """The csv file of a confusion matrix that is now part of the report, with sensitivity and precision of each class.

    Args:
        matrix: Counts, K x K: a row for each true class, a column for each predicted one.
        names: Of the classes, in order.

    Raises:
        ValueError: the matrix is not square, has a value below zero, or another number of classes than `names`.
    """
    from innereye_runtime.figures.overlay import as_array

    counts = as_array(matrix)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError(f"a confusion matrix is K x K, not {' x '.join(map(str, counts.shape))}")
    values = [[float(value) for value in row] for row in counts.tolist()]
    if any(value < 0 or not math.isfinite(value) for row in values for value in row):
        raise ValueError("a confusion matrix has counts, none of them below zero")
    labels = [str(name) for name in names] or [str(index) for index in range(len(values))]
    if len(labels) != len(values):
        raise ValueError(f"{len(labels)} names for {len(values)} classes")
    rows = [[label, *row] for label, row in zip(labels, values, strict=True)]
    confusion = {"names": labels, "counts": values}
    return _add(title, caption, ["truth", *labels], rows, confusion=confusion)


def add_per_subject(
    rows: Rows,
    title: str,
    caption: str = "",
    *,
    subject: str = "subject",
    by: str = "",
    lower_is_better: bool = False,
    worst: int = 5,
    overlays: Mapping[str, Path] | None = None,
) -> Path:
    """The csv file of a table by subject that is now part of the report: mean and standard deviation of each metric,
    with a box plot, and the worst subjects in their order.

    Args:
        rows: A mapping for each subject, or a sequence for each column; numbers that are not finite are left out.
        subject: The column with the subject's name.
        by: The metric that the subjects are ranked by; default: the first one.
        lower_is_better: Of that metric.
        worst: How many subjects are shown.
        overlays: By subject, the pictures that `add_overlay` or `add_figure` returned: those of the worst stand with
            them.

    Raises:
        ValueError: there is no such column, or no metric.
    """
    columns, values = _read(rows)
    if subject not in columns:
        raise ValueError(f"the table has no column {subject!r}; its columns are {', '.join(columns)}")
    at = columns.index(subject)
    numbers = [[_number(value) for value in row] for row in values]
    metrics = [n for n in range(len(columns)) if n != at and any(row[n] is not None for row in numbers)]
    if not metrics:
        raise ValueError(f"the table has no column of numbers beside {subject!r}")
    if by and by not in [columns[n] for n in metrics]:
        raise ValueError(f"{by!r} is not a column of numbers; those are {', '.join(columns[n] for n in metrics)}")
    ranked_by = columns.index(by) if by else metrics[0]
    known = [index for index, row in enumerate(numbers) if row[ranked_by] is not None]
    known.sort(key=lambda index: numbers[index][ranked_by] or 0.0, reverse=lower_is_better)
    pictures = {str(name): Path(path).name for name, path in (overlays or {}).items()}
    subjects = {
        "metrics": [_summary(columns[n], [x for row in numbers if (x := row[n]) is not None]) for n in metrics],
        "by": columns[ranked_by],
        "count": len(values),
        "worst": [
            {
                "subject": str(values[index][at]),
                "values": [numbers[index][n] for n in metrics],
                "picture": pictures.get(str(values[index][at]), ""),
            }
            for index in known[: max(worst, 0)]
        ],
    }
    return _add(title, caption, columns, values, subjects=subjects)


def _summary(name: str, values: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(values)
    quartiles = [_quantile(ordered, share) for share in (0, 0.25, 0.5, 0.75, 1)]
    deviation = stdev(ordered) if len(ordered) > 1 else None
    return {"name": name, "count": len(ordered), "mean": fmean(ordered), "sd": deviation, "quartiles": quartiles}


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest values, as numpy has it."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _read(rows: Any) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns, and the rows."""
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):  # a DataFrame
        rows = {str(name): list(rows[name]) for name in rows.columns}
    if isinstance(rows, Mapping):
        lengths = {str(name): len(column) for name, column in rows.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")
        values = [list(row) for row in zip(*rows.values(), strict=True)]
        columns = list(lengths)
    else:
        columns = list(dict.fromkeys(str(name) for row in rows for name in row))
        values = [[row.get(name) for name in columns] for row in rows]
    if not columns:
        raise ValueError("a table needs a column")
    return columns, values


def _add(title: str, caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], **details: Any) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return store(title, caption, ".csv", lambda file: write_text(file, text.getvalue()), **details)


def _plain(value: Any) -> Any:
    """What JSON has: numbers, None for what is not finite, and text for all else."""
    if value is None or isinstance(value, bool | str):
        return value
    number = _number(value)
    if number is not None:
        return int(number) if number.is_integer() and abs(number) < 1e15 else number
    return None if isinstance(value, float) else str(value)


def _number(value: Any) -> float | None:
    """A finite number; None for anything else."""
    if value is None or isinstance(value, bool | str):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
