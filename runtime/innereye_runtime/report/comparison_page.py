"""The page of a comparison: what differs between runs, their metrics side by side, and their curves over each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.figures.chart import MANY, Line, downsample, line_chart, number
from innereye_runtime.report.curves import has_several_in_an_epoch
from innereye_runtime.report.text import static_page
from innereye_runtime.run.comparison import Comparison
from innereye_runtime.run.folder import Column
from innereye_runtime.run.metric_names import parse_metric_name, rank

_MOST_CHARTS = 60
_POINTS = 24_000
"""Of all charts together."""
_SHORT = 72
"""Characters of a value that a cell shows; a longer one is folded away."""


def comparison_page(
    found: Comparison, columns: Mapping[str, Mapping[str, Column]], *, links: Mapping[str, str] | None = None
) -> str:
    """The whole page as HTML; it fetches nothing and has no script.

    `columns`: metrics.csv of each run, by its name in the comparison. `links`: where a run's report is, likewise.
    """
    state, said = ("good", "equal") if found.equal else ("warn", "different")
    parts = (
        ("Runs", _runs(found, links or {})),
        ("Differences", _differences(found)),
        ("Metrics", _metrics(found)),
        ("Curves", _curves(found.names, columns)),
        ("Notes", "".join(f"<p>{escape(note)}</p>" for note in found.notes)),
    )
    body = "".join(f"<section><h2>{heading}</h2>{content}</section>" for heading, content in parts if content)
    title = f"Comparison of {len(found.names)} runs"
    header = f'<h1>{title}</h1>\n<p class="state {state}">weights and metrics are {said}</p>'
    style = f"{chart.STYLE}{chart.style_of_many()}"
    return static_page(title, style, f"<header>{header}</header>\n{body}")


def _runs(found: Comparison, links: Mapping[str, str]) -> str:
    """A row for each run, with the colour that its lines have."""
    rows = []
    for index, name in enumerate(found.names):
        link = links.get(name)
        shown = f'<a href="{escape(link)}">{escape(name)}</a>' if link else escape(name)
        values = [_cell(column[index]) for column in found.results.values()]
        rows.append([f'<b class="{_hue(index)}" style="color: var(--hue)">■</b> {shown}', *values])
    return _table(["run", *found.results], rows)


def _differences(found: Comparison) -> str:
    if not found.differences:
        return "<p>None in parameters, manifest, code, packages, data and hardware.</p>"
    rows = [[escape(one.section), escape(one.key), *map(_cell, one.values)] for one in found.differences]
    return _table(["", "", *map(escape, found.names)], rows)


def _metrics(found: Comparison) -> str:
    rows = [
        [escape(name), *(number(value) if value is not None else "" for value in values)]
        for name, values in found.metrics.items()
    ]
    return _table(["metric", *map(escape, found.names)], rows) if rows else ""


def _curves(names: Sequence[str], columns: Mapping[str, Mapping[str, Column]]) -> str:
    """A chart for each metric that a run has several values of, with a line for each run."""
    logged = dict.fromkeys(metric for name in names for metric in columns.get(name, {}))
    shown = [
        metric
        for metric in sorted(logged, key=lambda metric: rank(parse_metric_name(metric).name))
        if any(metric in columns.get(name, {}) and len(columns[name][metric].values) > 1 for name in names)
    ]
    if not shown:
        return ""
    buckets = max(_POINTS // 4 // (min(len(shown), _MOST_CHARTS) * len(names)), 10)
    charts = "".join(_chart(metric, names, columns, buckets) for metric in shown[:_MOST_CHARTS])
    rest = len(shown) - _MOST_CHARTS
    note = f'<p class="note">{rest:,} more metrics are in metrics.csv of each run.</p>' if rest > 0 else ""
    return f'<div class="charts">{charts}</div>{note}'


def _chart(metric: str, names: Sequence[str], columns: Mapping[str, Mapping[str, Column]], buckets: int) -> str:
    of_runs = {name: columns[name][metric] for name in names if metric in columns.get(name, {})}
    by_step = any(has_several_in_an_epoch(column) for column in of_runs.values())
    lines = [
        Line(name=name, points=points, hue=_hue(names.index(name)))
        for name, column in of_runs.items()
        if (points := downsample(list(_points(column, by_step)), buckets))
    ]
    svg = line_chart(lines, title=metric, x_label="step" if by_step else "epoch", legend=False)
    return f'<figure class="chart"><figcaption>{escape(metric)}</figcaption>{svg}</figure>'


def _points(column: Column, by_step: bool) -> Iterator[tuple[float, float]]:
    xs = column.steps if by_step else [epoch + 1 for epoch in column.epochs]
    return zip(xs, column.values, strict=True)


def _hue(index: int) -> str:
    return f"s{index % MANY}"


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if len(text) <= _SHORT and "\n" not in text:
        return escape(text)
    first = text.splitlines()[0][: _SHORT - 1]
    return f"<details><summary>{escape(first)}…</summary><pre>{escape(text)}</pre></details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead>{lines}</table></div>'
