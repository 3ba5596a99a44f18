"""The tables of final metrics: those of the chosen checkpoint's epoch beside the test's, then the last epoch's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.report.grouping import Family, families
from innereye_runtime.report.text import insert_word_breaks
from innereye_runtime.run.folder import RunFolder, mapping
from innereye_runtime.run.metric_names import parse_metric_name, rank

_MOST_ROWS = 400
"""Of one table; metrics.json has all."""
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class _Column:
    split: str
    group: str
    """What stands above it: which checkpoint, or which epoch."""
    values: Mapping[str, Any]
    """By label."""


def metrics(run: RunFolder) -> str:
    """Final metrics: a row for each quantity, and a grid where one is there for several structures."""
    labels, columns = _columns(run)
    if not labels:
        return ""
    best = mapping(mapping(run.record.get("checkpoints")).get("best"))
    monitored = parse_metric_name(str(best.get("monitor") or "")).key
    grids = families(labels)
    in_grids = {name for family in grids for name in family.names.values()}
    rest = sorted((label for label in labels if label not in in_grids or label.lower() == monitored), key=rank)
    html = _table(rest, columns, monitored) if rest else ""
    return html + "".join(_grid(family, columns) for family in grids) + _note(columns)


def _columns(run: RunFolder) -> tuple[list[str], list[_Column]]:
    """The labels of all quantities, and the columns that have any value."""
    best = mapping(mapping(run.record.get("checkpoints")).get("best"))
    last = mapping(mapping(run.record.get("checkpoints")).get("last"))
    of_best = {str(split): mapping(values) for split, values in mapping(best.get("metrics")).items()}
    epochs = [epoch for each in (best, last) if isinstance(epoch := each.get("epoch"), int)]
    known = len(epochs) == 2 and any(of_best.get(split) for split in ("train", "val"))
    names: dict[str, str] = {}
    found: list[_Column] = []
    if known and epochs[0] != epochs[1]:
        at_best = f"best checkpoint, epoch {epochs[0] + 1}"
        at_last = f"last epoch, {epochs[1] + 1}"
        given = [(split, at_best, of_best.get(split, {})) for split in ("train", "val")]
        given.append(("test", at_best, run.metrics.get("test", {})))
        given += [(split, at_last, run.metrics.get(split, {})) for split in ("train", "val")]
    else:
        given = [(split, "", run.metrics.get(split, {})) for split in _SPLITS]
    given += [(split, "", values) for split, values in run.metrics.items() if split not in _SPLITS]
    for split, group, values in given:
        labelled: dict[str, Any] = {}
        for name, value in values.items():
            quantity = parse_metric_name(name)
            label = quantity.name + (f" ({quantity.rate})" if quantity.rate == "step" else "")
            label = names.setdefault(label.lower(), label)
            labelled[name if label in labelled else label] = value
        if labelled:
            found.append(_Column(split, group, labelled))
    return list(dict.fromkeys(label for column in found for label in column.values)), found


def _table(labels: Sequence[str], columns: Sequence[_Column], monitored: str) -> str:
    head = "".join(f'<th scope="col" class="{_class(each)}">{escape(each.split)}</th>' for each in columns)
    body = "".join(
        f'<tr><th scope="row">{insert_word_breaks(label)}{_monitored(label.lower() == monitored)}</th>'
        + "".join(_value(each.values.get(label), label in each.values, _class(each)) for each in columns)
        + "</tr>"
        for label in labels[:_MOST_ROWS]
    )
    rest = len(labels) - _MOST_ROWS
    more = f'<p class="muted">{rest:,} more are in metrics.json.</p>' if rest > 0 else ""
    return (
        f'<div class="wide"><table class="metrics"><thead>{_groups(columns)}<tr><th scope="col">metric</th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table></div>{more}"
    )


def _groups(columns: Sequence[_Column]) -> str:
    """A row above the head that says of which epoch the columns are; empty where they are all of one."""
    groups = dict.fromkeys(each.group for each in columns)
    if len(groups) < 2:
        return ""
    cells = "".join(
        f'<th scope="colgroup" colspan="{sum(each.group == group for each in columns)}">{escape(group)}</th>'
        for group in groups
    )
    return f'<tr class="groups"><td></td>{cells}</tr>'


def _grid(family: Family, columns: Sequence[_Column]) -> str:
    """Structures by metrics: of the test where there is one, else of validation; the other splits are folded away."""
    in_order = sorted(
        columns, key=lambda each: ("test", "val", "train").index(each.split) if each.split in _SPLITS else 3
    )
    tables = [(each, table) for each in in_order if (table := _grid_of(family, each.values))]
    if not tables:
        return ""
    (first, shown), *others = tables
    html = f"<h3>{escape(_caption(first))}</h3>{shown}"
    for column, table in others:
        html += f"<details><summary>{escape(_caption(column))}</summary>{table}</details>"
    return html


def _caption(column: _Column) -> str:
    return column.split + (f" ({column.group})" if column.group else "")


def _grid_of(family: Family, values: Mapping[str, Any]) -> str:
    if not any(name in values for name in family.names.values()):
        return ""
    head = "".join(f'<th scope="col">{insert_word_breaks(metric)}</th>' for metric in family.metrics)
    rows = ""
    for structure in family.structures[:_MOST_ROWS]:
        names = [family.names.get((structure, metric)) for metric in family.metrics]
        cells = "".join(_value(values.get(name or ""), name in values, "") for name in names)
        rows += f'<tr><th scope="row">{insert_word_breaks(structure)}</th>{cells}</tr>'
    means = ""
    for metric in family.metrics:
        known = [values.get(family.names.get((structure, metric), "")) for structure in family.structures]
        numbers = [float(value) for value in known if isinstance(value, int | float) and not isinstance(value, bool)]
        means += _value(fmean(numbers) if numbers else None, bool(numbers), "")
    return (
        f'<div class="wide"><table class="metrics"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}'
        f'<tr class="mean"><th scope="row">mean</th>{means}</tr></tbody></table></div>'
    )


def _note(columns: Sequence[_Column]) -> str:
    """Said where the columns differ in it and no group says so: the last epoch's weights are seldom the best ones."""
    during = " and ".join(each.split for each in columns if each.split in ("train", "val"))
    if not during or all(each.split != "test" for each in columns) or any(each.group for each in columns):
        return ""
    return (
        f'<p class="note">{during}: in the last epoch; test: after training, with the checkpoint that was chosen.</p>'
    )


def _class(column: _Column) -> str:
    kind = column.split if column.split in _SPLITS else "other"
    return f"{kind} last" if column.group.startswith("last") else kind


def _monitored(is_so: bool) -> str:
    return ' <span class="tag" title="the best checkpoint was chosen by it">monitored</span>' if is_so else ""


def _value(value: Any, known: bool, kind: str) -> str:
    if not known:
        return f'<td class="{kind} none">&ndash;</td>'
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f'<td class="{kind} none" title="it was NaN or infinite">not finite</td>'
    shown = f"{int(value)}" if float(value).is_integer() and abs(value) < 1e9 else chart.number(value)
    return f'<td class="{kind}" title="{escape(repr(value))}">{escape(shown)}</td>'
