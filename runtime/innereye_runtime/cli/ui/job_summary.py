"""What a command came to, on the page that GitHub and Azure Pipelines show of a job: Markdown that they are handed."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.cli.ui.junit import Case
from innereye_runtime.cli.ui.terminal import eprint

_CELL = 300


def add_cases(cases: Sequence[Case], environment: Mapping[str, str]) -> None:
    """Adds a table of the cases, one a line."""
    rows = [(case.name, case.failure or "valid") for case in cases]
    _add(f"### innereye-run {cases[0].suite}\n\n{_table(('manifest', 'result'), rows)}" if cases else "", environment)


def add_run(
    manifest: str, result: Mapping[str, Any], failure: str, environment: Mapping[str, str], *, smoke: bool
) -> None:
    """Adds a run: what `--json` prints of it, or why there is none."""
    title = f"### innereye-run{' --smoke' if smoke else ''} {_cell(manifest)}\n\n"
    rows = [(key, result[key]) for key in ("state", "exit_code", "run") if result.get(key) is not None]
    rows += [("reason", failure)] if failure else []
    metrics = [
        (name, f"{value:.6g}" if isinstance(value, float) else value)
        for split in result.get("metrics", {}).values()
        for name, value in split.items()
        if value is not None
    ]
    _add(title + _table(("", ""), rows) + ("\n" + _table(("metric", "value"), metrics) if metrics else ""), environment)


def _add(text: str, environment: Mapping[str, str]) -> None:
    """Hands the text over, where this is a job of one of the two. A summary that can't be written fails no job."""
    if not text:
        return
    try:
        if environment.get("GITHUB_ACTIONS") == "true" and (file := environment.get("GITHUB_STEP_SUMMARY")):
            with Path(file).open("a", encoding="utf-8") as summary:
                summary.write(f"{text}\n")
        elif environment.get("TF_BUILD", "").lower() == "true" and (folder := environment.get("AGENT_TEMPDIRECTORY")):
            own = Path(folder) / f"innereye-run-{os.getpid()}-{time.monotonic_ns()}.md"
            own.write_text(text, encoding="utf-8")
            eprint(f"##vso[task.uploadsummary]{own}")
    except OSError as error:
        eprint(f"warning: the summary of the job can't be written: {error}")


def _table(head: tuple[str, str], rows: Sequence[tuple[str, Any]]) -> str:
    lines = [head, ("---", "---"), *((_cell(name), _cell(value)) for name, value in rows)]
    return "".join(f"| {name} | {value} |\n" for name, value in lines)


def _cell(value: Any) -> str:
    """The value in one line, with nothing in it that Markdown or HTML would take for its own."""
    text = " ".join(str(value).split())
    text = text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."
    for character, written in (("&", "&amp;"), ("<", "&lt;"), ("|", "&#124;"), ("`", "&#96;"), ("*", "&#42;")):
        text = text.replace(character, written)
    return text.replace("_", "&#95;").replace("[", "&#91;")
