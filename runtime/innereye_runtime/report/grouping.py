"""Metrics that belong together: `val/heart/dice`, `val/lung/dice`, ... are one quantity for several structures."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_MEASURE = re.compile(
    r"(mean_?)?(dice|iou|jaccard|hd|hausdorff|assd|asd|nsd|surface|volume|sensitivity|specificity|precision|recall|auc|"
    r"auroc|f1|accuracy|loss)(?![a-z])",
    re.IGNORECASE,
)
"""Names of metrics of segmentation and classification, which set their side apart from that of the structures."""


@dataclass(frozen=True, slots=True)
class Family:
    """A grid of quantities: each metric for each of several structures, as far as it was logged."""

    metrics: tuple[str, ...]
    structures: tuple[str, ...]
    names: dict[tuple[str, str], str]
    """By structure and metric, the quantity's name."""


def families(names: Iterable[str]) -> list[Family]:
    """The grids among quantities of the form `a/b`, in the order of their first names; a name is in one at most.

    A side with a name such as dice is that of the metrics. Where neither has one, or both, the side with more values is
    that of the structures; where both have as many, the first.
    """
    pairs = {
        name: (name.partition("/")[0], name.partition("/")[2])
        for name in dict.fromkeys(names)
        if "/" in name.strip("/")
    }
    by_side: dict[tuple[int, str], list[str]] = defaultdict(list)
    for name, pair in pairs.items():
        for side in (0, 1):
            by_side[side, pair[side]].append(name)
    found: list[Family] = []
    seen: set[str] = set()
    for name in pairs:
        if name not in seen:
            group = _connected(name, pairs, by_side)
            seen |= set(group)
            family = _family([each for each in pairs if each in group], pairs)
            of_two = len(family.metrics) == 2 or any(map(_MEASURE.match, family.metrics))
            if len(family.structures) >= 3 or (len(family.structures) == 2 and of_two):
                found.append(family)
    return found


def _connected(start: str, pairs: dict[str, tuple[str, str]], by_side: dict[tuple[int, str], list[str]]) -> set[str]:
    """The names that share a side with `start`, or with one that does."""
    group, pending = {start}, [start]
    while pending:
        pair = pairs[pending.pop()]
        for side in (0, 1):
            new = [name for name in by_side.pop((side, pair[side]), ()) if name not in group]
            group.update(new)
            pending += new
    return group


def _family(names: list[str], pairs: dict[str, tuple[str, str]]) -> Family:
    sides = [tuple(dict.fromkeys(pairs[name][side] for name in names)) for side in (0, 1)]
    measures = [any(map(_MEASURE.match, side)) for side in sides]
    more = 0 if len(sides[0]) >= len(sides[1]) else 1
    of_structures = measures.index(False) if measures[0] != measures[1] else more
    return Family(
        metrics=sides[1 - of_structures],
        structures=sides[of_structures],
        names={(pairs[name][of_structures], pairs[name][1 - of_structures]): name for name in names},
    )
