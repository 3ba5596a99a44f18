"""The page of a sweep or of folds: a row for each run with a link to its own report, and what came of all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import fmean
from typing import Any

from innereye_runtime.figures.chart import number
from innereye_runtime.report.parallel_coordinates import MOST_LINES, STYLE, Point, parallel_coordinates
from innereye_runtime.report.sections import duration, moment
from innereye_runtime.report.text import static_page

_STATES = {"completed": "good", "running": "busy", "failed": "bad"}


def write_sweep_report(folder: Path, record: Mapping[str, Any], metrics: Mapping[str, Any]) -> Path:
    """report.html in the folder of a sweep, from sweep.json and metrics.json; it fetches nothing and has no script.

    Raises:
        OSError: the folder can't be written.
    """
    report = folder / "report.html"
    temporary = report.with_name(f".{report.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(sweep_page(record, metrics), encoding="utf-8", errors="replace")
        temporary.replace(report)
    finally:
        temporary.unlink(missing_ok=True)
    return report


def sweep_page(record: Mapping[str, Any], metrics: Mapping[str, Any], *, place: str = "") -> str:
    """The whole page as HTML. `place`: the folder of the sweep as its links lead there, with a '/' at its end."""
    state = str(record["state"])
    sections = (
        _best(record, place),
        _over_folds(metrics),
        _ensemble(metrics, place),
        _coordinates(record, place),
        _importance(record, metrics),
        _trials(record, metrics, place),
    )
    parts = [part for part in sections if part]
    facts = [
        f"{len(record['trials'])} of {record['total']} runs",
        str(record["sampling_algorithm"] or f"{record['splits']} folds"),
        f"{record['goal']} {record['primary_metric']}" if record["primary_metric"] else "",
        moment(record["started"]),
        duration(record["started"], record["ended"]),
    ]
    shown = "".join(f"<span>{fact}</span>" for fact in facts if fact)
    pill = f'<p class="state {_STATES.get(state, "warn")}">{escape(state)}</p>'
    header = (
        f'<header><h1>{escape(record["model"])}</h1>{pill}\n<p class="facts">{shown}</p>'
        f'<p class="id">{escape(record["id"])}</p></header>'
    )
    body = "".join(f"<section>{part}</section>" for part in parts)
    return static_page(f"{record['id']} · {state}", STYLE, f"{header}\n{body}")


def _best(record: Mapping[str, Any], place: str) -> str:
    best, reason = record.get("best"), record.get("reason")
    told = f'<div class="reason"><p>{escape(str(reason))}</p></div>' if reason else ""
    if not best:
        return told
    links = ", ".join(f'<a href="{escape(place + run)}/report.html">{escape(run)}</a>' for run in best["runs"])
    rows = [("runs", links), (escape(record["primary_metric"]), number(best["value"]))]
    rows += [(escape(name), escape(_text(value))) for name, value in best["parameters"].items()]
    return f"{told}<h2>Best trial</h2>{_table(('', ''), rows, kind='parameters')}"


def _over_folds(metrics: Mapping[str, Any]) -> str:
    """Mean and deviation over the folds, of a cross-validation or of each trial."""
    groups = metrics.get("over_folds") or ([metrics] if "mean" in metrics else [])
    rows = [
        (
            _text(group["trial"]) if "trial" in group else "",
            escape(name),
            _number(mean),
            _number(group["deviation"][split][name]),
        )
        for group in groups
        for split, values in group["mean"].items()
        for name, mean in values.items()
    ]
    return f"<h2>Over folds</h2>{_table(('trial', 'metric', 'mean', 'deviation'), rows)}" if rows else ""


def _ensemble(metrics: Mapping[str, Any], place: str) -> str:
    """What the folds' models come to together, and where the joined predictions are."""
    parts = []
    if (run := metrics.get("ensemble")) is not None:
        folder = escape(run["run"])
        said = f"{escape(run['state'])}, the mean of the folds' {escape(run['average'] or 'models')}"
        link = f'<a href="{escape(place)}{folder}/report.html">{folder}</a>'
        parts.append(f'<h2>Ensemble</h2><p class="note">{link}: {said}</p>')
        rows = [(escape(name), _number(value)) for name, value in _flat(run["metrics"]).items()]
        parts += [_table(("metric", "value"), rows)] if rows else []
    if (joined := metrics.get("predictions")) is not None:
        file, order = escape(joined["file"]), f" by {escape(joined['id'])}" if joined["id"] else ""
        link = f'<a href="{escape(place)}{file}">{file}</a>'
        parts.append(f'<h2>Predictions</h2><p class="note">{link}: {joined["rows"]} rows{order}')
        if several := joined["ids_in_several_folds"]:
            parts.append(f"; {several} of the ids are in several folds")
        parts.append("</p>")
    return "".join(parts)


def _coordinates(record: Mapping[str, Any], place: str) -> str:
    """The trials as lines over their parameters and the metric; of folds, the mean of each trial."""
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for trial in record["trials"]:
        groups.setdefault(trial["group"], []).append(trial)
    points = [
        Point(
            name=runs[0]["name"] if len(runs) == 1 else f"trial {group}",
            link=f"{place}trials/{runs[0]['name']}/report.html",
            parameters=runs[0]["parameters"],
            value=fmean(run["value"] for run in runs),
        )
        for group, runs in groups.items()
        if all(run["state"] == "completed" and run["value"] is not None for run in runs)
    ]
    chart = parallel_coordinates(points, record["primary_metric"], minimize=record["goal"] == "minimize")
    if not chart:
        return ""
    shown = f"the {MOST_LINES} best of {len(points)} trials" if len(points) > MOST_LINES else "each trial"
    note = f"A line for {shown}, to the report of its run: the stronger its colour, the better; the best one is green."
    return f'<h2>Trials</h2>{chart}<p class="note">{note}</p>'


def _importance(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    found = metrics.get("importance")
    if found is None:
        return ""
    metric = escape(record["primary_metric"])
    if "parameters" not in found:
        return f'<h2>Importance</h2><p class="note">Not known: {escape(found["reason"])}.</p>'
    rows = []
    for name, share in found["parameters"].items():
        bar = f'<span class="bar" style="width: {share * 160:.0f}px"></span>'
        rows.append((escape(name), bar, f'<span class="time">{share:.2f}</span>'))
    note = (
        f"What sets the best tenth of {found['trials']} trials apart by {metric}: shares that add up to 1 (PED-ANOVA). "
        "Of few trials they are rough."
    )
    return f'<h2>Importance</h2>{_table(("", "", ""), rows, kind="parameters")}<p class="note">{note}</p>'


def _trials(record: Mapping[str, Any], metrics: Mapping[str, Any], place: str) -> str:
    names = list(dict.fromkeys(name for trial in record["trials"] for name in trial["parameters"]))
    logged = list(dict.fromkeys(name for run in metrics["trials"].values() for name in _flat(run["metrics"])))
    has_folds = record["splits"] is not None
    head = ("run", *(["fold"] if has_folds else []), "state", *names, *logged, "note")
    rows = []
    for trial in record["trials"]:
        values = _flat(metrics["trials"][trial["name"]]["metrics"])
        rows.append(
            (
                f'<a href="{escape(place)}trials/{trial["name"]}/report.html">{trial["name"]}</a>',
                *([_text(trial["fold"])] if has_folds else []),
                escape(trial["state"]),
                *(escape(_text(trial["parameters"].get(name))) for name in names),
                *(_number(values.get(name)) for name in logged),
                escape(trial["reason"]),
            )
        )
    return f"<h2>Runs</h2>{_table([escape(name) for name in head], rows)}"


def _flat(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for split in metrics.values() for name, value in split.items()}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, kind: str = "") -> str:
    return "".join((f'<div class="wide"><table class="{kind}">', *_lines(head, rows), "</table></div>"))


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if any(head):
        yield f"<thead><tr>{''.join(f'<th scope=col>{name}</th>' for name in head)}</tr></thead>"
    yield from (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)


def _number(value: Any) -> str:
    return number(value) if isinstance(value, (int, float)) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
