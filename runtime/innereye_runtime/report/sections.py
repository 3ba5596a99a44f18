"""The parts of the page that say what came of a run: its state, its metrics, its pictures, its last words."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.run.folder import RunFolder, mapping, sequence
from innereye_runtime.run.metric_names import parse_metric_name, rank

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": "image/svg+xml"}
_PICTURES_BYTES = 24 * 1024 * 1024
"""Of pictures that one report holds; a mail or a phone takes no more."""
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
    facts = [
        '<b class="warn">smoke run: two batches of each split</b>' if record.get("smoke") else "",
        moment(attempts[0].get("started")) if attempts else "",
        duration(attempts[0].get("started"), attempts[-1].get("ended")) if attempts else "",
        f"target {escape(str(record['target']))}" if record.get("target") else "",
        f"seed {escape(str(record['seed']))}" if "seed" in record else "",
        f"{len(attempts)} attempts" if len(attempts) > 1 else "",
    ]
    return (
        f'<header><h1>{escape(title(run))}</h1><p class="state {_STATES.get(state, "warn")}">{escape(state)}</p>'
        f'<p class="facts">{"".join(f"<span>{fact}</span>" for fact in facts if fact)}</p>'
        f'<p class="id">{escape(str(record.get("id") or run.name))}</p></header>'
    )


def title(run: RunFolder) -> str:
    """The manifest's name for the run, else its model's, else its folder's."""
    return str(mapping(run.record.get("manifest")).get("name") or run.record.get("model") or run.name)


def failure(run: RunFolder) -> str:
    """Why a run ended early, with the end of its console; empty for a run that was completed or still goes on."""
    if run.record.get("state") in ("completed", "running", "starting"):
        return ""
    exit_code = run.record.get("exit_code")
    code = f'<p class="muted">exit code {escape(str(exit_code))}</p>' if exit_code is not None else ""
    reason = str(run.record.get("reason") or ("" if run.record else "run.json is missing or cannot be read."))
    said = f'<div class="reason"><p>{escape(reason or "No reason was recorded.")}</p>{code}</div>'
    if not run.console:
        return said
    console = f'<pre class="console" tabindex="0"><span>{escape(run.console)}</span></pre>'
    return f"{said}<details open><summary>Last lines of the console</summary>{console}</details>"


def metrics(run: RunFolder) -> str:
    """Final metrics: a row for each quantity, a column for each split that has any."""
    splits = [split for split in ("train", "val", "test") if run.metrics.get(split)]
    splits += [split for split, values in run.metrics.items() if values and split not in ("train", "val", "test")]
    rows: dict[str, dict[str, Any]] = {}
    titles: dict[str, str] = {}
    for split in splits:
        for name, value in run.metrics[split].items():
            quantity = parse_metric_name(name)
            label = quantity.name + (f" ({quantity.rate})" if quantity.rate == "step" else "")
            if split in rows.get(label.lower(), {}):
                label = name
            titles.setdefault(label.lower(), label)
            rows.setdefault(label.lower(), {})[split] = value
    if not rows:
        return ""
    best = mapping(mapping(run.record.get("checkpoints")).get("best"))
    monitored = parse_metric_name(str(best.get("monitor") or "")).key
    head = "".join(f'<th scope="col" class="{_split_class(split)}">{escape(split)}</th>' for split in splits)
    body = "".join(
        f'<tr><th scope="row">{insert_word_breaks(titles[key])}{_monitored(key == monitored)}</th>'
        + "".join(_value(values.get(split), split in values, _split_class(split)) for split in splits)
        + "</tr>"
        for key, values in sorted(rows.items(), key=lambda row: rank(row[0]))
    )
    return (
        f'<div class="wide"><table class="metrics"><thead><tr><th scope="col">metric</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{_when(splits)}"
    )


def pictures(run: RunFolder) -> str:
    """What the container added, in its order. Pictures are inlined; those that are too many are named."""
    shown: list[str] = []
    left_out: list[str] = []
    budget = _PICTURES_BYTES
    for entry in run.figures:
        name = escape(str(entry.get("title") or entry["file"]))
        caption = f"<p>{escape(str(entry['caption']))}</p>" if entry.get("caption") else ""
        drawing = _curve(entry)
        if not drawing:
            content = _bytes(entry["path"])
            budget -= len(content)
            if not content or budget < 0:
                budget += len(content)
                left_out.append(escape(f"figures/{entry['path'].name}"))
                continue
            drawing = _image(entry, content, alt=name)
        shown.append(f'<figure class="picture">{drawing}<figcaption><b>{name}</b>{caption}</figcaption></figure>')
    html = f'<div class="pictures">{"".join(shown)}</div>' if shown else ""
    if left_out:
        limit = _PICTURES_BYTES // 1024 // 1024
        html += (
            f'<p class="muted">Left out, because it can\'t be read or the report would hold more than {limit} MiB: '
            f"{', '.join(left_out)}.</p>"
        )
    return html


def insert_word_breaks(name: str) -> str:
    """`name` as HTML that may be broken into lines where its words end."""
    return escape(name).replace("_", "_<wbr>").replace("/", "/<wbr>")


def moment(value: Any) -> str:
    """`2026-11-24T10:15:30Z` as `2026-11-24 10:15:30 UTC`; anything else as it is."""
    text = str(value or "")
    return escape(text[:10] + " " + text[11:19] + " UTC" if _time(text) else text)


def duration(start: Any, end: Any) -> str:
    """The time between two moments, as `1 h 2 min 3 s`; empty where it is not known, as when the clock was set back."""
    begun, ended = _time(str(start or "")), _time(str(end or ""))
    return seconds((ended - begun).total_seconds()) if begun and ended and begun <= ended else ""


def seconds(value: float) -> str:
    """`0.4 s`, `12 s`, `3 min 4 s`, `2 h 5 min 0 s`."""
    if value < 10:
        return f"{value:.1f} s" if value % 1 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return (f"{hours} h " if hours else "") + (f"{minutes} min " if hours or minutes else "") + f"{rest} s"


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _when(splits: Sequence[str]) -> str:
    """Said because the columns differ in it: the last epoch's weights are seldom the best ones."""
    during = " and ".join(split for split in splits if split in ("train", "val"))
    if not during or "test" not in splits:
        return ""
    return (
        f'<p class="note">{during}: in the last epoch; test: after training, with the checkpoint that was chosen.</p>'
    )


def _split_class(split: str) -> str:
    return split if split in ("train", "val", "test") else "other"


def _monitored(is_so: bool) -> str:
    return ' <span class="tag" title="the best checkpoint was chosen by it">monitored</span>' if is_so else ""


def _value(value: Any, known: bool, kind: str) -> str:
    if not known:
        return f'<td class="{kind} none">&ndash;</td>'
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f'<td class="{kind} none" title="it was NaN or infinite">not finite</td>'
    shown = f"{int(value)}" if float(value).is_integer() and abs(value) < 1e9 else chart.number(value)
    return f'<td class="{kind}" title="{escape(repr(value))}">{escape(shown)}</td>'


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
