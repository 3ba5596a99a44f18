"""The page of a sweep or of folds: a row for each run with a link to its own report, and what came of all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from innereye_runtime.figures.chart import number
from innereye_runtime.report.sections import duration, moment

_STATES = {"completed": "good", "running": "busy", "failed": "bad"}
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


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


def sweep_page(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    state = str(record["state"])
    sections = (_best(record), _over_folds(metrics), _ensemble(metrics), _trials(record, metrics))
    parts = [part for part in sections if part]
    facts = [
        f"{len(record['trials'])} of {record['total']} runs",
        str(record["sampling_algorithm"] or f"{record['splits']} folds"),
        f"{record['goal']} {record['primary_metric']}" if record["primary_metric"] else "",
        moment(record["started"]),
        duration(record["started"], record["ended"]),
    ]
    shown = "".join(f"<span>{fact}</span>" for fact in facts if fact)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(record["id"])} · {escape(state)}</title>
<style>{style}</style>
</head>
<body>
<main>
<header><h1>{escape(record["model"])}</h1><p class="state {_STATES.get(state, "warn")}">{escape(state)}</p>
<p class="facts">{shown}</p><p class="id">{escape(record["id"])}</p></header>
{"".join(f"<section>{part}</section>" for part in parts)}
</main>
</body>
</html>
"""


def _best(record: Mapping[str, Any]) -> str:
    best, reason = record.get("best"), record.get("reason")
    told = f'<div class="reason"><p>{escape(str(reason))}</p></div>' if reason else ""
    if not best:
        return told
    links = ", ".join(f'<a href="{escape(run)}/report.html">{escape(run)}</a>' for run in best["runs"])
    rows = [("runs", links), (escape(record["primary_metric"]), number(best["value"]))]
    rows += [(escape(name), escape(_text(value))) for name, value in best["parameters"].items()]
    return f"{told}<h2>Best trial</h2>{_table(('', ''), rows)}"


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


def _ensemble(metrics: Mapping[str, Any]) -> str:
    """What the folds' models come to together, and where the joined predictions are."""
    parts = []
    if (run := metrics.get("ensemble")) is not None:
        folder = escape(run["run"])
        said = f"{escape(run['state'])}, the mean of the folds' {escape(run['average'] or 'models')}"
        parts.append(f'<h2>Ensemble</h2><p class="note"><a href="{folder}/report.html">{folder}</a>: {said}</p>')
        rows = [(escape(name), _number(value)) for name, value in _flat(run["metrics"]).items()]
        parts += [_table(("metric", "value"), rows)] if rows else []
    if (joined := metrics.get("predictions")) is not None:
        file, order = escape(joined["file"]), f" by {escape(joined['id'])}" if joined["id"] else ""
        parts.append(f'<h2>Predictions</h2><p class="note"><a href="{file}">{file}</a>: {joined["rows"]} rows{order}')
        if several := joined["ids_in_several_folds"]:
            parts.append(f"; {several} of the ids are in several folds")
        parts.append("</p>")
    return "".join(parts)


def _trials(record: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(name for trial in record["trials"] for name in trial["parameters"]))
    logged = list(dict.fromkeys(name for run in metrics["trials"].values() for name in _flat(run["metrics"])))
    has_folds = record["splits"] is not None
    head = ("run", *(["fold"] if has_folds else []), "state", *names, *logged, "note")
    rows = []
    for trial in record["trials"]:
        values = _flat(metrics["trials"][trial["name"]]["metrics"])
        rows.append(
            (
                f'<a href="trials/{trial["name"]}/report.html">{trial["name"]}</a>',
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


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(("<table>", *_lines(head, rows), "</table>"))


def _lines(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if any(head):
        yield f"<thead><tr>{''.join(f'<th scope=col>{name}</th>' for name in head)}</tr></thead>"
    yield from (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)


def _number(value: Any) -> str:
    return number(value) if isinstance(value, (int, float)) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
