"""The files of a run folder as the report needs them. What is missing or broken reads as empty."""

from __future__ import annotations

import csv
import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from innereye_runtime.figures.figure_files import read_index
from innereye_runtime.redaction import redacted
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.plain_types import parse_json

_TAIL_BYTES = 65536
_TAIL_LINES = 60
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(slots=True)
class Column:
    """The finite values of one metric in the order they were logged, and how many were not finite."""

    epochs: array[float] = field(default_factory=lambda: array("d"))
    steps: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))
    not_finite: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    name: str
    path: str
    """With the folder above it: what a person would type there, and no more of the machine than that."""
    record: Mapping[str, Any]
    """run.json."""
    metrics: Mapping[str, Mapping[str, Any]]
    """Final metrics, by split."""
    columns: Mapping[str, Column]
    """metrics.csv, by metric."""
    training: Mapping[str, Column]
    """logs/training.csv: learning rate, speed and memory."""
    figures: Sequence[Mapping[str, Any]]
    """figures.json, each with the path of its file under `path`."""
    manifest: str
    console: str
    """The last lines of the console, without terminal codes."""


def read_run_folder(paths: RunPaths) -> RunFolder:
    """What lies in the run folder; never raises for what does not."""
    record = mapping(_json(paths.run_json))
    metrics = mapping(_json(paths.metrics_json)) or mapping(record.get("metrics"))
    return RunFolder(
        name=paths.root.resolve().name,
        path="/".join(paths.root.resolve().parts[-2:]).lstrip("/"),
        record=record,
        metrics={str(split): mapping(values) for split, values in metrics.items()},
        columns=read_columns(paths.metrics_csv),
        training=read_columns(paths.training_csv),
        figures=[
            {**entry, "path": path}
            for entry in read_index(paths.figures)
            # The name alone: an index must not lead out of its folder.
            if (path := paths.figures / Path(entry["file"]).name).is_file()
        ],
        manifest=redacted(_text(paths.manifest)),
        console=_tail(paths.console_log),
    )


def mapping(value: Any) -> Mapping[str, Any]:
    """`value` where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """`value` where it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> Any:
    try:
        return parse_json(_text(path))
    except ValueError:
        return None


def read_columns(path: Path) -> dict[str, Column]:
    """The metrics of the table. Rows that an attempt logged again count once, with their newest values."""
    columns: dict[str, Column] = {}
    header: list[str] = []
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            rows = csv.reader(file)
            header = next(rows, [])
            places = {name: index for index, name in reversed(list(enumerate(header)))}
            epoch_at, step_at = places.pop("epoch", None), places.pop("step", None)
            wanted = [(index, columns.setdefault(name, Column())) for name, index in places.items()]
            for number, row in enumerate(rows):
                epoch = _number(row, epoch_at, math.nan)
                step = _number(row, step_at, number)
                for index, column in wanted:
                    if index < len(row) and row[index]:
                        _add(column, epoch, step, row[index])
    except (OSError, csv.Error):
        pass  # what was read until here is shown
    return {name: columns[name] for name in header if name in columns}


def _add(column: Column, epoch: float, step: float, cell: str) -> None:
    try:
        value = float(cell)
    except ValueError:
        return
    if not math.isfinite(value):
        column.not_finite += 1
        return
    while column.steps and column.steps[-1] >= step:
        for values in (column.epochs, column.steps, column.values):
            values.pop()
    column.epochs.append(epoch)
    column.steps.append(step)
    column.values.append(value)


def _number(row: Sequence[str], index: int | None, otherwise: float) -> float:
    try:
        value = float(row[index]) if index is not None else otherwise
    except (ValueError, IndexError):
        return otherwise
    return value if math.isfinite(value) else otherwise


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            content = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    lines = [_plain(line) for line in content.rstrip().split("\n")]
    return "\n".join(lines[-_TAIL_LINES:])


def _plain(line: str) -> str:
    """The line without terminal codes; of one that was drawn over and over, a progress bar, the last drawing."""
    return _CONTROLS.sub("", _ESCAPES.sub("", line).rstrip("\r").rpartition("\r")[2]).rstrip()
