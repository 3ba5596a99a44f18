"""The tables that a container added: plain ones, confusion matrices, and those by subject with box plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from innereye_runtime.figures.chart import number
from innereye_runtime.report.text import insert_word_breaks
from innereye_runtime.run.folder import mapping, sequence

_BOX_WIDTH, _BOX_HEIGHT = 180, 22


def drawn(entry: Mapping[str, Any]) -> str:
    """The entry of figures.json as HTML, where it is a table; empty where it is none, or not as it should be."""
    try:
        if "table" in entry:
            return _table(mapping(entry["table"]))
        if "confusion" in entry:
            return _confusion(mapping(entry["confusion"]))
        return _subjects(mapping(entry["subjects"])) if "subjects" in entry else ""
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError, OverflowError):
        return ""  # an index that someone else wrote


def pictures_of_worst(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Subject and file of each picture that stands with a table by subject."""
    worst = [mapping(each) for each in sequence(mapping(entry.get("subjects")).get("worst"))]
    return [(str(each.get("subject")), str(each["picture"])) for each in worst if each.get("picture")]


def _table(table: Mapping[str, Any]) -> str:
    rows = [sequence(row) for row in table["rows"]]
    rest = int(table["count"]) - len(rows)
    more = f'<p class="muted">{rest:,} more rows are in the file.</p>' if rest > 0 else ""
    return _html(table["columns"], [[_cell(value) for value in row] for row in rows]) + more


def _confusion(confusion: Mapping[str, Any]) -> str:
    """Counts with the share of their row as their shade; then how many of a class were found, and were right."""
    names, counts = [str(name) for name in confusion["names"]], [list(row) for row in confusion["counts"]]
    rows = []
    for index, row in enumerate(counts):
        total = sum(row)
        cells = [
            f'<td class="shade" style="--share:{value / total if total else 0:.3f}"'
            f' title="{_share(value, total)} of the row">{number(value)}</td>'
            for value in row
        ]
        rows.append(
            f'<tr><th scope="row">{escape(names[index])}</th>{"".join(cells)}<td>{_share(row[index], total)}</td></tr>'
        )
    precisions = "".join(f"<td>{_share(counts[n][n], sum(row[n] for row in counts))}</td>" for n in range(len(names)))
    right, total = sum(counts[n][n] for n in range(len(names))), sum(map(sum, counts))
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    return (
        f'<div class="wide"><table class="metrics confusion"><thead><tr><th>truth, by row</th>{head}'
        f'<th scope="col">sensitivity</th></tr></thead><tbody>{"".join(rows)}'
        f'<tr class="mean"><th scope="row">precision</th>{precisions}<td title="of all that are right">'
        f"{_share(right, total)}</td></tr></tbody></table></div>"
    )


def _subjects(subjects: Mapping[str, Any]) -> str:
    metrics = [mapping(each) for each in subjects["metrics"]]
    summary = [
        [
            f'<th scope="row">{insert_word_breaks(str(each["name"]))}</th>',
            f"<td>{_mean(each)}</td><td>{number(each['quartiles'][2])}</td>",
            f"<td>{number(each['quartiles'][0])} to {number(each['quartiles'][4])}</td><td>{int(each['count'])}</td>",
            f"<td>{_box(each['quartiles'])}</td>",
        ]
        for each in metrics
    ]
    head = "".join(f"<th>{name}</th>" for name in ("metric", "mean ± sd", "median", "range", "n", "box plot"))
    body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in summary)
    html = (
        f'<div class="wide"><table class="subjects"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
    worst = [mapping(each) for each in subjects["worst"]]
    if not worst:
        return html
    rows = [
        [str(place), escape(str(each["subject"])), *(_cell(value) for value in each["values"])]
        for place, each in enumerate(worst, start=1)
    ]
    columns = ["", "subject", *(str(each["name"]) for each in metrics)]
    of = f"{len(worst)} of {int(subjects['count'])}, the worst by {escape(str(subjects['by']))}"
    return f'{html}<p class="note">{of}</p>{_html(columns, rows)}'


def _mean(metric: Mapping[str, Any]) -> str:
    deviation = metric.get("sd")
    return number(metric["mean"]) + (f" ± {number(deviation)}" if isinstance(deviation, int | float) else "")


def _box(quartiles: Sequence[float]) -> str:
    """Whiskers from the lowest to the highest value, and the box from the first to the third quartile."""
    low, high = quartiles[0], quartiles[4]
    span = (high - low) or 1.0
    start, first, middle, third, end = (6 + (each - low) / span * (_BOX_WIDTH - 12) for each in quartiles)
    half = _BOX_HEIGHT / 2
    return (
        f'<svg class="box" viewBox="0 0 {_BOX_WIDTH} {_BOX_HEIGHT}" role="img" aria-label="box plot">'
        f'<path d="M{start:.1f} {half}H{first:.1f}M{third:.1f} {half}H{end:.1f}M{start:.1f} 6V16M{end:.1f} 6V16"/>'
        f'<rect x="{first:.1f}" y="3" width="{max(third - first, 1):.1f}" height="{_BOX_HEIGHT - 6}"/>'
        f'<path class="median" d="M{middle:.1f} 3V{_BOX_HEIGHT - 3}"/></svg>'
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole * 100:.1f} %" if whole else "&ndash;"


def _cell(value: Any) -> str:
    if value is None:
        return "&ndash;"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(str(value))
    return str(value) if isinstance(value, int) else number(value)


def _html(columns: Sequence[Any], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{insert_word_breaks(str(name))}</th>' for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table class="plain"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
