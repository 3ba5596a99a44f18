"""The parts of the page that say what came of a run: its state, its metrics, its pictures, its last words."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.report import tables_section
from innereye_runtime.run.folder import RunFolder, mapping, sequence
from innereye_runtime.run.metric_names import rank

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
_PICTURES_BYTES = 24 * 1024 * 1024
"""Of pictures that one report holds; a mail or a phone takes no more."""
_LAST_METRICS = 8
"""Metrics that a run that ended early opens with."""
_STATES = {
    "completed": "good",
    "starting": "busy",
    "running": "busy",
    "failed": "bad",
    "interrupted": "warn",
    "stopped": "warn",
}


def header(run: RunFolder) -> str:
    """Title, state, and the facts that one asks for first."""
    record = run.record
    state = str(record.get("state") or "unknown")
    attempts = [mapping(attempt) for attempt in sequence(record.get("attempts"))]
    description = mapping(record.get("container")).get("description")
    facts = [
        '<b class="warn">smoke run: two batches of each split</b>' if record.get("smoke") else "",
        moment(attempts[0].get("started")) if attempts else "",
        _ran(attempts),
        f"target {escape(str(record['target']))}" if record.get("target") else "",
        f"seed {escape(str(record['seed']))}" if "seed" in record else "",
        f"{len(attempts)} attempts" if len(attempts) > 1 else "",
    ]
    return (
        f'<header><h1>{escape(title(run))}</h1><p class="state {_STATES.get(state, "warn")}">{escape(state)}</p>'
        f'<p class="facts">{"".join(f"<span>{fact}</span>" for fact in facts if fact)}</p>'
        f'<p class="id">{escape(str(record.get("id") or run.name))}</p>'
        f"{_description(description) if isinstance(description, str) else ''}</header>"
    )


def _description(text: str) -> str:
    """A paragraph of a docstring, with code where it has backticks."""
    shown = re.sub("`+([^`]+)`+", r"<code>\1</code>", escape(text))
    return f"<p>{shown}</p>" if text else ""


def _ran(attempts: Sequence[Mapping[str, Any]]) -> str:
    """How long the attempts ran, together; the time between them is not the run's."""
    spans = [_span(attempt.get("started"), attempt.get("ended")) for attempt in attempts]
    known = [span for span in spans if span is not None]
    return seconds(sum(known)) if known else ""


def title(run: RunFolder) -> str:
    """The manifest's name for the run, else its model's, else its folder's."""
    return str(mapping(run.record.get("manifest")).get("name") or run.record.get("model") or run.name)


def failure(run: RunFolder) -> str:
    """Why a run ended early: the cause, the command that resumes it, its last metrics and the end of its console. Empty
    for a run that was completed or is still running."""
    if run.record.get("state") in ("completed", "running", "starting"):
        return ""
    exit_code = run.record.get("exit_code")
    code = f'<p class="muted">exit code {escape(str(exit_code))}</p>' if exit_code is not None else ""
    reason = str(run.record.get("reason") or ("" if run.record else "run.json is missing or cannot be read."))
    resume = f"<p>Resume it with <code>innereye-run resume {escape(run.path)}</code></p>" if run.record else ""
    said = (
        f'<div class="reason"><p>{escape(reason or "No reason was recorded.")}</p>{code}</div>'
        f'<div class="after">{resume}{_last(run)}</div>'
    )
    if not run.console:
        return said
    console = f'<pre class="console" tabindex="0"><span>{escape(run.console)}</span></pre>'
    return f"{said}<details open><summary>Last lines of the console</summary>{console}</details>"


def _last(run: RunFolder) -> str:
    """The last value of each of the first metrics, of a run that came to none at its end."""
    logged = [(name, column) for name, column in run.columns.items() if column.values]
    shown = sorted(logged, key=lambda each: rank(each[0]))[:_LAST_METRICS]
    texts = [f"{escape(name)} {escape(chart.number(column.values[-1]))}" for name, column in shown]
    if not texts:
        return '<p class="muted">No metric was logged.</p>'
    epochs = [column.epochs[-1] for _, column in logged if column.epochs[-1] == column.epochs[-1]]
    when = f" in epoch {int(max(epochs)) + 1}" if epochs else ""
    more = f" and {len(logged) - len(texts)} more in metrics.csv" if len(logged) > len(texts) else ""
    return f"<p>Last metrics{when}: {' · '.join(texts)}{more}</p>"


def pictures(run: RunFolder) -> str:
    """What the container added, in its order. Pictures are inlined; those that are too many are named."""
    shown: dict[str, str] = {}
    tables: list[tuple[Mapping[str, Any], str]] = []
    left_out: list[str] = []
    budget = _PICTURES_BYTES
    for entry in run.figures:
        if table := tables_section.drawn(entry):
            tables.append((entry, table))
            continue
        name = escape(str(entry.get("title") or entry["file"]))
        caption = f"<p>{escape(str(entry['caption']))}</p>" if entry.get("caption") else ""
        drawing = _curve(entry)
        if not drawing:
            content = _bytes(entry["path"]) if entry["path"].suffix.lower() in _TYPES else b""
            budget -= len(content)
            if not content or budget < 0:
                budget += len(content)
                left_out.append(escape(f"figures/{entry['path'].name}"))
                continue
            drawing = _image(entry, content, alt=name)
        figure = f'<figure class="picture">{drawing}<figcaption><b>{name}</b>{caption}</figcaption></figure>'
        shown[entry["path"].name] = figure
    html = "".join(_added(entry, table, shown) for entry, table in tables)
    html += f'<div class="pictures">{"".join(shown.values())}</div>' if shown else ""
    if left_out:
        limit = _PICTURES_BYTES // 1024 // 1024
        html += (
            f'<p class="muted">Left out, because it can\'t be read or the report would hold more than {limit} MiB: '
            f"{', '.join(left_out)}.</p>"
        )
    return html


def _added(entry: Mapping[str, Any], table: str, figures: dict[str, str]) -> str:
    """A table with its title, and with those of the figures that belong to its worst subjects, which are taken out."""
    caption = f"<p>{escape(str(entry['caption']))}</p>" if entry.get("caption") else ""
    found = [figures.pop(file) for _, file in tables_section.pictures_of_worst(entry) if file in figures]
    pictures = f'<div class="pictures">{"".join(found)}</div>' if found else ""
    name = escape(str(entry.get("title") or entry["file"]))
    return f'<div class="added"><h3>{name}</h3>{caption}{table}{pictures}</div>'


def moment(value: Any) -> str:
    """`2026-11-24T10:15:30Z` as `2026-11-24 10:15:30 UTC`; anything else as it is."""
    text = str(value or "")
    return escape(text[:10] + " " + text[11:19] + " UTC" if _time(text) else text)


def duration(start: Any, end: Any) -> str:
    """The time between two moments, as `1 h 2 min 3 s`; empty where it is not known, as when the clock was set back."""
    span = _span(start, end)
    return seconds(span) if span is not None else ""


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min 0 s`."""
    if value < 10:
        return f"{value:.1f} s" if value % 1 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + (f"{minutes} min " if hours or minutes else "") + f"{rest} s"


def _span(start: Any, end: Any) -> float | None:
    """Seconds; None where it is not known, as when the clock was set back."""
    begun, ended = _time(str(start or "")), _time(str(end or ""))
    return (ended - begun).total_seconds() if begun and ended and begun <= ended else None


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _curve(entry: Mapping[str, Any]) -> str:
    """The chart of `add_curve`, drawn here so that it follows the page's colours; empty where the entry has none."""
    data = mapping(entry.get("curve"))
    try:
        return chart.curve(data, title=str(entry.get("title"))) if data.get("points") else ""
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return ""  # an index that someone else wrote: the svg file is shown


def _image(entry: Mapping[str, Any], content: bytes, *, alt: str) -> str:
    encoded = base64.b64encode(content).decode("ascii")
    size: Sequence[Any] = sequence(entry.get("size"))
    attributes = ""
    if len(size) == 2 and all(isinstance(length, int) and length > 0 for length in size):
        attributes = f' width="{size[0]}" height="{size[1]}"'
        if size[0] < 256:
            attributes += ' class="small"'
    kind = _TYPES.get(entry["path"].suffix.lower(), "application/octet-stream")
    return f'<img alt="{alt}"{attributes} src="data:{kind};base64,{encoded}">'


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
