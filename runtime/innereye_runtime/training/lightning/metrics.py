"""metrics.csv, written row by row as training goes, and the final metrics by split."""

from __future__ import annotations

import csv
import io
import math
import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from innereye_runtime.run.metric_names import parse_metric_name

SPLITS = ("train", "val", "test")
_LEADING = ("epoch", "step")


class MetricsTable(Logger):
    """A logger that keeps metrics.csv: a row for each call, a column for each metric that was ever logged.

    A row is on disk when the call returns, so a hard kill loses none. Lightning's own CSVLogger holds 100 rows back,
    and starts its file afresh when a run is restarted.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.rows = 0
        self._path = path
        self._columns: list[str] = list(_LEADING)
        self._epoch: float = 0
        self._trainer: pl.Trainer | None = None
        self._file: io.TextIOWrapper | None = None

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> int:
        return 0

    @property
    def experiment(self) -> None:
        """None: there is nothing behind it to be written to. All of Lightning's loggers have this attribute."""

    def follow(self, trainer: pl.Trainer) -> None:
        """Takes the epoch of `trainer` for rows that do not have one, such as those of a LearningRateMonitor."""
        self._trainer = trainer

    def restart(self, step: int, epoch: int | None = None, rows: int | None = None) -> None:
        """Continues the file that an earlier attempt left, without the rows of steps that will be run again: with its
        first `rows`, where their number is known.

        A row will be written again where it is of `epoch` or a later one, whatever its step: a model may log a `step`
        of its own, and Lightning counts the rows of validation steps by themselves. Where `epoch` is not known, its
        step decides: the last row that a checkpoint at `step` knows is that of `step - 1`.
        """
        if self._path.exists():
            with self._path.open(encoding="utf-8", newline="") as file:
                there = list(csv.DictReader(file))
            kept = [row for row in there if _is_before(row, step, epoch)] if rows is None else there[:rows]
            self._columns = list(there[0]) if there else list(_LEADING)
            self._epoch = float(kept[-1]["epoch"]) if kept else 0
            self._rewrite(kept)
            self.rows = len(kept)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = {name: float(value) for name, value in metrics.items()}
        now = self._epoch if self._trainer is None else self._trainer.current_epoch
        self._epoch = values.pop("epoch", now)
        row: dict[str, Any] = {"epoch": int(self._epoch), "step": "" if step is None else step, **values}
        self._align_columns(row)
        assert self._file is not None
        csv.writer(self._file, lineterminator="\n").writerow([row.get(name, "") for name in self._columns])
        self._file.flush()
        self.rows += 1

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the parameters stand in run.json and args.txt."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _align_columns(self, row: Mapping[str, Any]) -> None:
        """Makes the file open for appending, with a column for each of the row's values."""
        new = [name for name in row if name not in self._columns]
        if new:
            rows: list[dict[str, str]] = []
            if self._path.exists():
                self.finalize("")
                with self._path.open(encoding="utf-8", newline="") as file:
                    rows = list(csv.DictReader(file))
            self._columns += sorted(new)
            self._rewrite(rows)
        elif self._file is None and not self._path.exists():
            self._rewrite([])
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8", newline="")

    def _rewrite(self, rows: Sequence[Mapping[str, str]]) -> None:
        self.finalize("")
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        temporary.replace(self._path)


def logged_metrics(trainer: pl.Trainer) -> dict[str, float]:
    """What was logged so far, in this process."""
    return {name: float(value) for name, value in trainer.callback_metrics.items() if value.numel() == 1}


def split_metrics(metrics: Mapping[str, float]) -> dict[str, dict[str, float | None]]:
    """The metrics by split, in the order of their names; those of no split count as of training.

    JSON has no NaN and no infinity: they become None.
    """
    result: dict[str, dict[str, float | None]] = {split: {} for split in SPLITS}
    for name in sorted(metrics):
        value = metrics[name]
        result[parse_metric_name(name).split or "train"][name] = value if math.isfinite(value) else None
    return result


def _is_before(row: Mapping[str, str], step: int, epoch: int | None) -> bool:
    try:
        if epoch is not None:
            return int(row["epoch"]) < epoch
        return int(row["step"]) < step
    except ValueError:
        return True
