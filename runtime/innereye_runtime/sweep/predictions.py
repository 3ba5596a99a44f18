"""predictions.csv of a cross-validation: the tables of predictions that its folds wrote, joined to one."""

from __future__ import annotations

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from innereye_runtime.errors import ExitCode, OutputError
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.sweep.record import RecordWriter, SweepRecord, TrialRecord

log = logging.getLogger("innereye_runtime")

FILE: Final = "predictions.csv"
_FOUND: Final = (FILE, "predictions/dataloader_0.csv")
"""Where a fold has its table, if the manifest does not say: the model's own, else the runtime's of its predict_step."""
_IDS: Final = ("id", "sample_id", "subject_id", "patient_id", "subject", "patient", "sample", "case", "case_id")
_ADDED: Final = ("trial", "fold")

Row = tuple[TrialRecord, dict[str, str]]
"""A row of a table, and the fold that wrote it."""


def join_or_fail(folder: Path, record: SweepRecord, manifest: Manifest) -> dict[str, Any] | None:
    """As `join_predictions`, of folds that are complete; a table that is missing or odd is the failure of the whole."""
    if manifest.cross_validation is None or record.exit_code != ExitCode.DONE:
        return None
    try:
        joined = join_predictions(folder, record, manifest.cross_validation.predictions)
    except OutputError as error:
        record.state, record.exit_code, record.reason = "failed", int(error.exit_code), str(error)
        RecordWriter(folder, record).write(now=True)
        return None
    if joined is not None and joined["ids_in_several_folds"]:
        log.warning(
            "warning: %d ids are in the predictions of several folds: a prediction is out of fold only where its "
            "sample was left out of training",
            joined["ids_in_several_folds"],
        )
    return joined


def join_predictions(folder: Path, record: SweepRecord, named: str) -> dict[str, Any] | None:
    """What the joined table has: its file, its rows, the column by which they are ordered, and the number of ids that
    several folds of a trial predict; None where no fold has a table, and the manifest has not `named` one.

    Only trials whose folds have all completed are in it. Rows are ordered by trial and id; without a column of ids,
    by fold and as they were written.

    Raises:
        OutputError: a fold lacks the table that another one has, or that was named, or has other columns.
    """
    groups = [folds for folds in record.groups() if all(fold.state == "completed" for fold in folds)]
    folds = [fold for group in groups for fold in group]
    name = named or next((each for each in _FOUND if any(_file(folder, fold, each).is_file() for fold in folds)), "")
    if not name or not folds:
        return None
    columns = _columns(folder, folds, name)
    key = next((column for wanted in _IDS for column in columns if column.lower() == wanted), None)
    added = [column for column in _ADDED[record.sampling_algorithm is None :] if column not in columns]
    rows, repeated = 0, 0
    temporary = folder / f".{FILE}.tmp"
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*added, *columns])
            for group in groups:
                found = [row for fold in group for row in _rows(folder, fold, name)]
                if key is not None:
                    repeated += _repeated(found, key)
                    found.sort(key=_order(found, key))
                for fold, row in found:
                    own = {"trial": fold.group, "fold": fold.fold}
                    writer.writerow([*(own[column] for column in added), *row.values()])
                rows += len(found)
        temporary.replace(folder / FILE)
    finally:
        temporary.unlink(missing_ok=True)
    return {"file": FILE, "from": name, "rows": rows, "id": key, "ids_in_several_folds": repeated}


def _file(folder: Path, fold: TrialRecord, name: str) -> Path:
    return folder / "trials" / fold.name / name


def _columns(folder: Path, folds: Sequence[TrialRecord], name: str) -> list[str]:
    """The columns of the table, which all folds have."""
    first: list[str] | None = None
    for fold in folds:
        file = _file(folder, fold, name)
        try:
            with file.open(encoding="utf-8-sig", newline="") as table:
                columns = next(csv.reader(table), [])
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise OutputError(
                f"the predictions of the folds can't be joined: {file}: {reason}",
                hint="write the file in each fold, below the run folder, as CSV with a header",
            ) from None
        if first is not None and columns != first:
            raise OutputError(
                f"the predictions of the folds can't be joined: {file} has the columns {', '.join(columns)}, and that "
                f"of fold {folds[0].fold} {', '.join(first)}",
                hint="write the same columns in each fold",
            )
        first = columns
    return first or []


def _rows(folder: Path, fold: TrialRecord, name: str) -> Iterator[Row]:
    file = _file(folder, fold, name)
    with file.open(encoding="utf-8-sig", newline="") as table:
        reader = csv.DictReader(table)
        for row in reader:
            if None in row or None in row.values():
                raise OutputError(
                    f"the predictions of the folds can't be joined: {file}:{reader.line_num} has more or fewer cells "
                    "than the header",
                    hint="write a cell for each column",
                )
            yield fold, row


def _repeated(rows: Sequence[Row], key: str) -> int:
    """The number of ids that more than one fold has: a fold that has trained on one may have predicted it."""
    folds: dict[str, set[str]] = {}
    for fold, row in rows:
        folds.setdefault(row[key], set()).add(fold.name)
    return sum(len(each) > 1 for each in folds.values())


def _order(rows: Sequence[Row], key: str) -> Callable[[Row], int | str]:
    """Orders by id: as numbers where all are whole numbers."""
    if all(row[key].isascii() and row[key].isdecimal() for _, row in rows):
        return lambda row: int(row[1][key])
    return lambda row: row[1][key]
