"""What `predict_step` returns as a table: a CSV file with a row for each sample, where the outputs are of that form."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

log = logging.getLogger("innereye_runtime")

_MOST_COLUMNS: Final = 256
"""Of one output: what has more (a segmentation, an embedding) is not a table for people."""
_OUTPUT: Final = "prediction"
"""The column of an output without a name."""

Columns = dict[str, list[Any]]


class PredictionTable:
    """A file that grows by the outputs of each batch. Outputs that are not a table leave no file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._header: list[str] | None = None
        self._given_up = False

    def add(self, outputs: Any) -> None:
        """Writes the rows of a batch, unless this or an earlier one was not a table of the same columns."""
        if self._given_up:
            return
        columns = columns_of(outputs)
        if columns is None or (self._header is not None and list(columns) != self._header):
            if self._header is not None:
                log.warning("warning: no %s: batches of predictions have different columns", self._file.name)
            self._file.unlink(missing_ok=True)
            self._given_up = True
            return
        with self._file.open("w" if self._header is None else "a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if self._header is None:
                writer.writerow(columns)
                self._header = list(columns)
            writer.writerows(zip(*columns.values(), strict=True))


def columns_of(outputs: Any) -> Columns | None:
    """The outputs of a batch as columns of one length; None where they are something else.

    A tensor has a row for each sample and one column, or as many as its second dimension; a dict has them for each of
    its keys, which may also be lists of text or numbers, such as the ids of subjects.
    """
    named = outputs if isinstance(outputs, Mapping) else {_OUTPUT: outputs}
    columns: Columns = {}
    for name, value in named.items():
        found = _columns(str(name), value)
        if found is None:
            return None
        columns |= found
    lengths = {len(column) for column in columns.values()}
    return columns if len(lengths) == 1 else None


def _columns(name: str, value: Any) -> Columns | None:
    if isinstance(value, torch.Tensor):
        if value.ndim == 1:
            return {name: value.tolist()}
        if value.ndim != 2 or value.shape[1] > _MOST_COLUMNS:
            return None
        if value.shape[1] == 1:
            return {name: value[:, 0].tolist()}
        return {f"{name}_{index}": value[:, index].tolist() for index in range(value.shape[1])}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        plain = [each.item() if isinstance(each, torch.Tensor) and each.numel() == 1 else each for each in value]
        return {name: plain} if all(isinstance(each, str | int | float) for each in plain) else None
    return None
