"""The curves of a run: one chart for each quantity, with its train and validation lines over one axis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

from innereye_runtime.figures.chart import BUCKETS, Line, downsample, line_chart, number
from innereye_runtime.run.folder import Column, RunFolder, mapping
from innereye_runtime.run.metric_names import MetricName, Split, parse_metric_name, rank

_SHOWN = 9
"""Charts beyond these are folded away."""
_DRAWN = 120
"""Charts beyond these are named alone: a report is mailed, and opened on phones."""
_NAMED = 50
_POINTS = 60_000
"""Of all lines together; where they have more, each is drawn with fewer."""
_NAMES: dict[Split, str] = {"train": "train", "val": "val", "test": "test", "": "logged"}
_HUES: dict[Split, Literal["train", "val", "test", "other"]] = {
    "train": "train",
    "val": "val",
    "test": "test",
    "": "other",
}


@dataclass(slots=True)
class _Chart:
    title: str
    members: list[tuple[MetricName, Column]] = field(default_factory=list)


def curves(run: RunFolder) -> str:
    """The charts as HTML: those with a loss first, then in the order of the table, learning rates last."""
    charts = [chart for chart in _charts(run.columns) if any(len(column.values) > 1 for _, column in chart.members)]
    if not charts:
        return ""
    best = mapping(mapping(run.record.get("checkpoints")).get("best"))
    charts.sort(key=lambda chart: rank(chart.title))
    lines = sum(len(chart.members) for chart in charts[:_DRAWN])
    drawn = [_figure(chart, best, buckets=max(20, _POINTS // 4 // lines)) for chart in charts[:_DRAWN]]
    html = f'<div class="charts">{"".join(drawn[:_SHOWN])}</div>'
    if more := drawn[_SHOWN:]:
        html += (
            f'<details><summary>{len(more)} more curves</summary><div class="charts">{"".join(more)}</div></details>'
        )
    if left_out := charts[_DRAWN:]:
        names = escape(", ".join(chart.title for chart in left_out[:_NAMED])) + (", ..." if left_out[_NAMED:] else "")
        html += f'<p class="muted">{len(left_out):,} more metrics are in metrics.csv, with all values: {names}</p>'
    return html


def _charts(columns: Mapping[str, Column]) -> list[_Chart]:
    charts: dict[str, _Chart] = {}
    for name, column in columns.items():
        quantity = parse_metric_name(name)
        # A lone test value was measured after training, on the chosen checkpoint: it has no place on an axis of epochs.
        is_final = quantity.split == "test" and len(column.values) < 2
        if (column.values or column.not_finite) and not is_final:
            charts.setdefault(quantity.key, _Chart(quantity.name)).members.append((quantity, column))
    return list(charts.values())


def _figure(chart: _Chart, best: Mapping[str, Any], *, buckets: int) -> str:
    by_step = any(_has_several_in_an_epoch(column) for _, column in chart.members)
    lines = list(_lines(chart, by_step, buckets))
    marks = {}
    if isinstance(best.get("epoch"), int) and not by_step:
        marks = {float(best["epoch"]): "best"}
    svg = line_chart(lines, title=chart.title, x_label="step" if by_step else "epoch", marks=marks)
    notes = [_summary(line) for line in lines if line.kind == "line"]
    logged = sum(len(column.values) for _, column in chart.members)
    if (shown := sum(len(line.points) for line in lines)) < logged:
        notes.append(f"{shown:,} of {logged:,} points, with every peak and trough")
    if not_finite := sum(column.not_finite for _, column in chart.members):
        notes.append(f'<span class="warn">{not_finite:,} not finite, left out</span>')
    return (
        f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>{svg}'
        f'<p class="readout" aria-live="polite">{" · ".join(notes)}</p></figure>'
    )


def _lines(chart: _Chart, by_step: bool, buckets: int) -> Iterator[Line]:
    several: defaultdict[tuple[Split, str], int] = defaultdict(int)
    for quantity, column in sorted(chart.members, key=lambda member: list(_NAMES).index(member[0].split)):
        if not column.values:
            continue
        name = _NAMES[quantity.split] + (f" ({quantity.rate})" if quantity.rate else "")
        several[quantity.split, name] += 1
        if (count := several[quantity.split, name]) > 1:
            name += f" {count}"
        xs = column.steps if by_step else column.epochs
        yield Line(
            name=name,
            points=downsample(list(zip(xs, column.values, strict=True)), min(buckets, BUCKETS)),
            hue=_HUES[quantity.split],
            kind="thin" if quantity.rate == "step" else "line",
        )


def _has_several_in_an_epoch(column: Column) -> bool:
    """True where epochs don't tell the values apart, or are not known (then they are NaN, and equal nothing)."""
    return any(not earlier < later for earlier, later in zip(column.epochs, column.epochs[1:], strict=False))


def _summary(line: Line) -> str:
    lowest = min(y for _, y in line.points)
    highest = max(y for _, y in line.points)
    name = "" if line.name == _NAMES[""] else f"{escape(line.name)} "
    return f"{name}{number(lowest)} to {number(highest)}, last {number(line.points[-1][1])}"
