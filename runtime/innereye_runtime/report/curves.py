"""The curves of a run: one chart for each quantity, with its train and validation lines over one axis; one chart for a
quantity that is there for several structures; and a row with a small line for each that is beyond what a page holds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from innereye_runtime.figures.chart import MANY, Line, downsample, line_chart, number, sparkline
from innereye_runtime.report.grouping import families
from innereye_runtime.run.folder import Column, RunFolder, mapping, sequence
from innereye_runtime.run.metric_names import MetricName, Split, parse_metric_name, rank

_SHOWN = 9
"""Charts beyond these are folded away."""
_MOST_CHARTS = 60
"""Quantities beyond these have a row with a small line."""
_MOST_ROWS = 4000
_POINTS = 24_000
"""Of all charts together: each has the same share, and no line less than four for each of its `_FEWEST` parts."""
_FEWEST, _SPARK = 10, 8
_SPLITS: tuple[Split, ...] = ("train", "val", "test", "")
_NAMES: dict[Split, str] = {"train": "train", "val": "val", "test": "test", "": "logged"}

_CLOCK_POINTS = 400


@dataclass(slots=True)
class _Chart:
    title: str
    members: list[tuple[MetricName, Column]] = field(default_factory=list)
    many: bool = False
    """A line for each structure, and not for each split."""


def curves(run: RunFolder) -> str:
    """The charts as HTML: those with a loss first, then in the order of the table, learning rates last."""
    charts = [chart for chart in _charts(run.columns) if any(len(column.values) > 1 for _, column in chart.members)]
    if not charts:
        return ""
    charts.sort(key=lambda chart: rank(chart.title))
    whole, rows = charts[:_MOST_CHARTS], charts[_MOST_CHARTS:]
    lines = sum(len(chart.members) for chart in whole)
    buckets = min(max(_POINTS // 4 // max(lines, 1), _FEWEST), 200)
    drawn = [_figure(chart, run, buckets) for chart in whole]
    html = f'{_tools(run)}<div class="charts">{"".join(drawn[:_SHOWN])}</div>'
    if more := drawn[_SHOWN:]:
        html += (
            f'<details><summary>{len(more)} more curves</summary><div class="charts">{"".join(more)}</div></details>'
        )
    return html + (_rows(rows) if rows else "")


def _tools(run: RunFolder) -> str:
    """Switches for all charts, shown by the report's script, which does what they say. The axis is a choice where it is
    known when each epoch ended: `data-clock` has its number, its last step (counted from 0, as in metrics.csv) and the
    seconds until then."""
    seconds = run.training.get("seconds", Column())
    ends = list(zip(seconds.epochs, seconds.steps, seconds.values, strict=True))
    every = math.ceil(len(ends) / _CLOCK_POINTS) or 1
    ends = ends[::-1][::every][::-1]
    clock = " ".join(f"{epoch + 1:.8g},{step - 1:.8g},{elapsed:.6g}" for epoch, step, elapsed in ends)
    axis = (
        '<label>axis <select name="axis"><option value="">as logged</option><option>epoch</option><option>step</option>'
        "<option>time</option></select></label>"
    )
    return (
        f'<form class="tools" data-clock="{clock}" hidden><label><input type="checkbox" name="log"> log scale</label>'
        '<label>smoothing <input type="range" name="smooth" min="0" max="0.95" step="0.05" value="0"></label>'
        f"{axis if len(ends) > 1 else ''}</form>"
    )


def training_curves(run: RunFolder) -> str:
    """Learning rate, speed and memory, by epoch; empty for a run that has no such file."""
    charts = [
        _Chart(name.replace("_", " "), [(MetricName(""), each)])
        for name, each in run.training.items()
        if name != "seconds"
    ]
    drawn = [_figure(chart, run, 50) for chart in charts if len(chart.members[0][1].values) > 1]
    return f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""


def _charts(columns: Mapping[str, Column]) -> list[_Chart]:
    charts: dict[str, _Chart] = {}
    names = {name: parse_metric_name(name) for name in columns}
    place: dict[str, tuple[str, str]] = {}
    for family in families(quantity.name for quantity in names.values()):
        for (structure, metric), name in family.names.items():
            place[name] = (metric, structure)
    for name, column in columns.items():
        quantity = names[name]
        # A lone test value was measured after training, on the chosen checkpoint: it has no place on an axis of epochs.
        is_final = quantity.split == "test" and len(column.values) < 2
        if is_final or not (column.values or column.not_finite):
            continue
        if quantity.name in place and quantity.rate != "step":
            metric, structure = place[quantity.name]
            title = f"{metric} ({_NAMES[quantity.split]})" if quantity.split else metric
            chart = charts.setdefault(f"many {title}", _Chart(title, many=True))
            chart.members.append((MetricName(structure), column))
        else:
            charts.setdefault(quantity.key, _Chart(quantity.name)).members.append((quantity, column))
    return list(charts.values())


def _figure(chart: _Chart, run: RunFolder, buckets: int) -> str:
    by_step = any(has_several_in_an_epoch(column) for _, column in chart.members)
    lines = list(_lines(chart, by_step, buckets))
    svg = line_chart(
        lines,
        title=chart.title,
        x_label="step" if by_step else "epoch",
        marks=_marks(chart, run, by_step),
        legend=False,
    )
    notes = [_summary(line) for line in lines if line.kind == "line"]
    if len(notes) > 4:
        last = sorted((line.points[-1][1], line.name) for line in lines)
        notes = [f"{len(lines)} lines; last: {escape(f'{name} {number(value)}')}" for value, name in (last[0],)]
        notes.append(f"to {escape(last[-1][1])} {number(last[-1][0])}")
    logged = sum(len(column.values) for _, column in chart.members)
    if (shown := sum(len(line.points) for line in lines)) < logged:
        notes.append(f"{shown:,} of {logged:,} points, with every peak and trough")
    if not_finite := sum(column.not_finite for _, column in chart.members):
        notes.append(f'<span class="warn">{not_finite:,} not finite, left out</span>')
    return (
        f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>{svg}{_legend(lines)}'
        f'<p class="readout" aria-live="polite">{" · ".join(notes)}</p></figure>'
    )


def _legend(lines: Sequence[Line]) -> str:
    """A button for each line, which the script makes a switch."""
    if len(lines) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" aria-pressed="true" class="{line.hue}{" thin" if line.kind == "thin" else ""}">'
        f"{escape(line.name)}</button>"
        for line in lines
    )
    return f'<div class="legend">{buttons}</div>'


def _marks(chart: _Chart, run: RunFolder, by_step: bool) -> dict[float, str]:
    """The epoch of the best checkpoint, and where an attempt resumed training."""
    marks: dict[float, str] = {}
    best = mapping(mapping(run.record.get("checkpoints")).get("best")).get("epoch")
    if isinstance(best, int) and not by_step:
        marks[float(best + 1)] = "best"
    for attempt in sequence(run.record.get("attempts")):
        epoch = mapping(attempt).get("epoch")
        if mapping(attempt).get("resumed_from") and isinstance(epoch, int):
            at = _step_of(chart, epoch) if by_step else epoch + 0.5
            if at is not None:
                marks[at] = "" if "resumed" in marks.values() else "resumed"
    return marks


def _step_of(chart: _Chart, epochs: int) -> float | None:
    """The place between the last step of `epochs` complete epochs and the next one."""
    before = [
        step
        for _, column in chart.members
        for epoch, step in zip(column.epochs, column.steps, strict=True)
        if epoch < epochs
    ]
    return max(before) + 0.5 if before else None


def _lines(chart: _Chart, by_step: bool, buckets: int) -> Iterator[Line]:
    several: defaultdict[tuple[Split, str], int] = defaultdict(int)
    for index, (quantity, column) in enumerate(
        sorted(chart.members, key=lambda member: _SPLITS.index(member[0].split))
    ):
        if not column.values:
            continue
        name = _NAMES[quantity.split] + (f" ({quantity.rate})" if quantity.rate else "")
        several[quantity.split, name] += 1
        if (count := several[quantity.split, name]) > 1:
            name += f" {count}"
        xs = column.steps if by_step else [epoch + 1 for epoch in column.epochs]
        yield Line(
            name=quantity.name if chart.many else name,
            points=downsample(list(zip(xs, column.values, strict=True)), buckets),
            hue=f"s{index % MANY}" if chart.many else quantity.split or "other",
            kind="thin" if quantity.rate == "step" else "line",
        )


def _rows(charts: Sequence[_Chart]) -> str:
    """A row for each line of the charts: the line, and what it came to."""
    members = [(chart, quantity, column) for chart in charts for quantity, column in chart.members if column.values]
    rows = "".join(
        f'<tr><th scope="row">{escape(_label(chart, quantity))}</th><td>{sparkline(_points(column))}</td>'
        f"<td>{number(min(column.values))} to {number(max(column.values))}</td>"
        f"<td>{number(column.values[-1])}</td></tr>"
        for chart, quantity, column in members[:_MOST_ROWS]
    )
    rest = len(members) - _MOST_ROWS
    more = f'<p class="muted">{rest:,} more are in metrics.csv.</p>' if rest > 0 else ""
    head = "<tr><th>metric</th><th>curve</th><th>range</th><th>last</th></tr>"
    return (
        f"<details><summary>{len(members):,} more metrics, as small lines; metrics.csv has every value</summary>"
        f'<div class="wide"><table class="sparks"><thead>{head}</thead><tbody>{rows}</tbody></table></div>{more}'
        "</details>"
    )


def _label(chart: _Chart, quantity: MetricName) -> str:
    parts = (quantity.name if chart.many else "", "" if chart.many else _NAMES[quantity.split], quantity.rate)
    return " ".join(part for part in (chart.title, *parts) if part)


def _points(column: Column) -> list[tuple[float, float]]:
    return downsample(list(zip(column.steps, column.values, strict=True)), _SPARK)


def has_several_in_an_epoch(column: Column) -> bool:
    """True where epochs don't tell the values apart, or are not known (then they are NaN, and equal nothing)."""
    epochs = column.epochs
    if len(epochs) == 1:
        return math.isnan(epochs[0])
    return any(not earlier < later for earlier, later in pairwise(epochs))


def _summary(line: Line) -> str:
    lowest = min(y for _, y in line.points)
    highest = max(y for _, y in line.points)
    name = "" if line.name == _NAMES[""] else f"{escape(line.name)} "
    return f"{name}{number(lowest)} to {number(highest)}, last {number(line.points[-1][1])}"
