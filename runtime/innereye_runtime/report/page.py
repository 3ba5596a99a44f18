"""The page: its parts in the order in which a reader asks for them, its style, and a policy that fetches nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.report import provenance_section, sections
from innereye_runtime.report.curves import curves, training_curves
from innereye_runtime.report.metrics_section import metrics
from innereye_runtime.run.folder import RunFolder, read_run_folder
from innereye_runtime.run.paths import RunPaths


def write_report(paths: RunPaths, *, record: Mapping[str, Any] | None = None) -> Path:
    """The run folder's report.html, written anew and in one step, from the folder's files alone; equal for equal ones.

    `record`: what run.json is going to say, where it is written after the report.

    Raises:
        OSError: the folder can't be written.
    """
    run = read_run_folder(paths)
    html = page(run if record is None else replace(run, record=dict(record)))
    temporary = paths.report.with_name(f".{paths.report.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(html, encoding="utf-8", errors="replace")
        temporary.replace(paths.report)
    finally:
        temporary.unlink(missing_ok=True)
    return paths.report


def page(run: RunFolder) -> str:
    """The whole report as HTML, with nothing in it that a browser would have to fetch."""
    parts = (
        ("", sections.failure(run)),
        ("Metrics", metrics(run)),
        ("Curves", curves(run)),
        ("Pictures", sections.pictures(run)),
        ("Training", training_curves(run)),
        ("Parameters", provenance_section.parameters(run)),
        ("Attempts", provenance_section.attempts(run)),
        ("Provenance", provenance_section.provenance(run)),
    )
    body = "\n".join(
        f"<section>{f'<h2>{heading}</h2>' if heading else ''}{content}</section>"
        for heading, content in parts
        if content
    )
    script = _resource("report.js")
    version = run.record.get("runtime_version")
    made_by = f"innereye-runtime {version}" if version else "innereye-runtime"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(sections.title(run))} · {escape(str(run.record.get("state") or "unknown"))}</title>
<style>{_resource("report.css")}{chart.STYLE}{chart.style_of_many()}</style>
</head>
<body>
<main>
{sections.header(run)}
{body}
</main>
<footer>Made by {escape(made_by)} from the files of the run folder.</footer>
<script>{script}</script>
</body>
</html>
"""


def _policy(script: str) -> str:
    """Nothing is fetched, and no script runs but the report's own, whatever a metric's name or a picture brings."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
