"""What a CI gets to know of a run: a JUnit file, a summary of its own, an annotation."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.cli.handover import HandoverError
from innereye_runtime.cli.ui.job_summary import add_cases, add_run
from innereye_runtime.cli.ui.junit import Case, annotation, case_of_diagnostics, write_junit
from innereye_runtime.cli.ui.outcome import NO_RUN
from innereye_runtime.cli.ui.terminal import eprint, print_result
from innereye_runtime.errors import InnerEyeError, ManifestError


@dataclass(frozen=True, slots=True, kw_only=True)
class CIReport:
    """What a CI gets to know of a run beside its output."""

    manifest: str
    smoke: bool
    junit: str | None
    """The file of `--junit`."""
    started: float
    """By the clock that every process of this machine has."""


def reported(action: Callable[[list[dict[str, Any]]], int], report: CIReport, *, as_json: bool) -> int:
    """The exit code of `action`, which adds what its run came to to the list that it gets; a CI gets to know of it."""
    ended: list[dict[str, Any]] = []
    failure: InnerEyeError | None = None
    is_over = True
    try:
        return action(ended)
    except HandoverError as handover:
        is_over = False
        handover.report = asdict(report)
        raise
    except InnerEyeError as error:
        failure = error
        if as_json:
            print_result(json.dumps({**NO_RUN, "state": "failed", "exit_code": int(error.exit_code)}))
        raise
    finally:
        if is_over:
            _report_to_ci(report, ended, failure)


def _report_to_ci(report: CIReport, ended: Sequence[dict[str, Any]], failure: InnerEyeError | None) -> None:
    """Writes what `--junit` names and a CI's summary, and annotates a failed run at the line of the user's code."""
    reason, traceback, details = (str(failure), "", failure.hint) if failure else ("", "", "")
    if ended and ended[0]["exit_code"] != 0:
        reason, traceback, details = _failure_of(Path(ended[0]["run"]), ended[0]["exit_code"])
        if shown := annotation(reason, traceback, cwd=Path.cwd(), environment=os.environ):
            eprint(shown.rstrip("\n"))
    suite = "smoke" if report.smoke else "run"
    if isinstance(failure, ManifestError):
        add_cases([case_of_diagnostics(Path(report.manifest), failure.diagnostics, suite=suite)], os.environ)
    elif ended or failure:
        result = ended[0] if ended else {"exit_code": int(failure.exit_code)} if failure else {}
        add_run(report.manifest, result, reason, os.environ, smoke=report.smoke)
    if report.junit is None:
        return
    if isinstance(failure, ManifestError):
        case = case_of_diagnostics(Path(report.manifest), failure.diagnostics, suite=suite)
    else:
        seconds = time.monotonic() - report.started
        case = Case(name=report.manifest, suite=suite, seconds=seconds, failure=reason, details=details)
    write_junit(Path(report.junit), [case])


def _failure_of(folder: Path, exit_code: int) -> tuple[str, str, str]:
    """Why a run failed, its whole traceback, and the last lines that it printed."""
    from innereye_runtime.run.folder import read_run_folder
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.sweep.record import FILE, SweepRecord

    if (folder / FILE).is_file():
        return SweepRecord.read(folder).reason or f"exit code {exit_code}", "", ""
    paths = RunPaths(folder)
    run = read_run_folder(paths)
    file = paths.logs / "traceback.log"
    traceback = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    return str(run.record.get("reason") or f"exit code {exit_code}"), traceback, run.console
