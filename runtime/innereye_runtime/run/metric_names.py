"""Metric names taken apart, so that `train/loss` and `val_loss` meet in one chart and one row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val", "test", ""]

_SPLITS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
}
_WORDS = "|".join(sorted(_SPLITS, key=len, reverse=True))
_FIRST = re.compile(rf"({_WORDS})[/_.\- ]+(.+)", re.IGNORECASE)
_LAST = re.compile(rf"(.+?)[/_.\- ]+({_WORDS})", re.IGNORECASE)
_RATE = re.compile(r"(.+)_(step|epoch)")


@dataclass(frozen=True, slots=True)
class MetricName:
    """What a metric measures, on which split, and how often.

    `rate` is set where Lightning logs both (`on_step` and `on_epoch`).
    """

    name: str
    split: Split = ""
    rate: Literal["step", "epoch", ""] = ""

    @property
    def key(self) -> str:
        """Equal for names of one quantity that differ in case alone."""
        return self.name.lower()


def rank(name: str) -> int:
    """What a reader looks for first: losses, then all else, learning rates last. A key to sort by."""
    low = name.lower()
    return 0 if "loss" in low else 2 if low in ("lr", "learning_rate") or low.startswith("lr-") else 1


def parse_metric_name(metric: str) -> MetricName:
    """The quantity behind a metric's name; a name without a split is one as it is."""
    split: Split = ""
    name = metric
    if match := _FIRST.fullmatch(metric):
        split, name = _SPLITS[match[1].lower()], match[2]
    elif match := _LAST.fullmatch(metric):
        split, name = _SPLITS[match[2].lower()], match[1]
    if match := _RATE.fullmatch(name):
        return MetricName(match[1], split, "step" if match[2] == "step" else "epoch")
    return MetricName(name, split)
