"""`innereye-run download JOB ...`: downloads the run folders of jobs in Azure Machine Learning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import eprint, show_error
from innereye_runtime.errors import ExitCode, InnerEyeError, UsageError

if TYPE_CHECKING:
    from innereye_runtime.targets.base import DownloadResult


class Arguments(argparse.Namespace):
    job: str | None
    all: bool
    to: Path | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "download",
        usage="JOB|--all [--to FOLDER] [--json]",
        about="Downloads the run folder of a job in Azure Machine Learning, or the copy of a run in a remote\n"
        "outputs.folder, and verifies every file against its outputs.json. Files that are complete are not downloaded\n"
        "again. Exit code 6: something is missing or damaged.",
        examples=[
            "innereye-run download azureml://subscriptions/S/resourcegroups/G/workspaces/W/jobs/JOB",
            "innereye-run download azure://account/container/runs/2026-11-24T101530Z_HelloContainer",
            "innereye-run download --all",
        ],
    )
    parser.add_argument(
        "job",
        nargs="?",
        metavar="JOB",
        help="the address of a job, as innereye-run prints it: azureml://...; or of a run's copy: azure://...",
    )
    parser.add_argument(
        "--all", action="store_true", help="every run that was detached with this outputs folder and is not here yet"
    )
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="the folder that the run folder goes to; default: outputs"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object: run, files, exit_code; with --all, a list of them"
    )
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    if arguments.all == (arguments.job is not None):
        raise UsageError("give the address of one job, or --all", hint="innereye-run download --help")
    outputs = (arguments.to or Path("outputs")).absolute()
    if arguments.job is None:
        return _download_all(outputs, as_json=arguments.json)
    home = _download(arguments.job, outputs)
    if arguments.json:
        print(json.dumps(_described(home)))
        return ExitCode.DONE
    _show(home)
    return ExitCode.DONE


def _download(job: str, outputs: Path) -> DownloadResult:
    """The run folder; a run that is over, and here, is not one of those that are still to come."""
    from innereye_runtime.manifest.dataset_ids import is_remote
    from innereye_runtime.targets.detached import forget_detached
    from innereye_runtime.targets.registry import attach

    home = _download_copy(job, outputs) if is_remote(job) else attach(job).download(outputs)
    if home.exit_code is not None:
        forget_detached(outputs, home.folder.name)
    return home


def _download_copy(url: str, outputs: Path) -> DownloadResult:
    from innereye_runtime.launch.mirroring import download_run
    from innereye_runtime.targets.base import DownloadResult

    found = download_run(url, outputs, report=eprint)
    exit_code = found.exit_code if found.is_over else None
    return DownloadResult(folder=found.paths.root, files=found.files, exit_code=exit_code)


def _download_all(outputs: Path, *, as_json: bool) -> int:
    """0 where every run was downloaded as far as it is; else the highest exit code of what was in the way of one."""
    from innereye_runtime.targets.detached import FOLDER, detached_runs

    worst, results = int(ExitCode.DONE), []
    for run, reference in detached_runs(outputs).items():
        try:
            home = _download(reference, outputs)
        except InnerEyeError as error:
            eprint(f"{run}: not downloaded")
            worst = max(worst, show_error(error))
            results.append({"run": run, "files": 0, "exit_code": None, "error": str(error)})
            continue
        results.append({**_described(home), "error": None})
        if not as_json:
            _show(home, name=f"{run}: ")
    if as_json:
        print(json.dumps(results, indent=2))
    elif not results:
        eprint(f"{outputs / FOLDER} lists no run")
    return worst


def _described(home: DownloadResult) -> dict[str, Any]:
    return {"run": str(home.folder), "files": home.files, "exit_code": home.exit_code}


def _show(home: DownloadResult, *, name: str = "") -> None:
    if home.exit_code is None:
        eprint(f"{name}the job is not over: this is what it has written so far")
    elif home.exit_code != ExitCode.DONE:
        eprint(f"{name}the run ended with exit code {home.exit_code}")
    print(home.folder)
