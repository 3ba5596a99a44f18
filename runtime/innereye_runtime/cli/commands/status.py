"""`innereye-run status RUN`: how a run stands, here or in Azure Machine Learning."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.cli.commands.verify import run_folder_argument
from innereye_runtime.cli.ui.parser import Parser, table
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    run: str
    json: bool


def parser() -> Parser:
    parser = Parser(
        "status",
        usage="RUN [--json]",
        about="Shows how a run stands. RUN is a run folder, or the address of a job in Azure Machine Learning.",
        examples=[
            "innereye-run status outputs/2026-11-24T101530Z_HelloContainer",
            "innereye-run status azureml://subscriptions/S/resourcegroups/G/workspaces/W/jobs/JOB",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or azureml://... as innereye-run prints it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.targets.azureml.job_uri import is_job_uri

    status = (
        _of_job(arguments.run) if is_job_uri(arguments.run) else _of_folder(run_folder_argument(Path(arguments.run)))
    )
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print(table([(key, str(value)) for key, value in status.items() if value not in ("", None)]).rstrip("\n"))
    return ExitCode.DONE


def _of_job(text: str) -> Mapping[str, Any]:
    from innereye_runtime.targets.azureml.job_uri import JobUri
    from innereye_runtime.targets.azureml.runs import session_of, status_of

    address = JobUri.parse(text)
    return status_of(session_of(address), address).describe()


def _of_folder(folder: Path) -> Mapping[str, Any]:
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord

    record = RunRecord.read(RunPaths(folder))
    newest = record.attempt
    return {
        "run": str(folder),
        "state": record.state,
        "reason": record.reason,
        "exit_code": record.exit_code,
        "target": record.target,
        "attempts": len(record.attempts),
        "started": record.attempts[0].started,
        "ended": newest.ended,
    }
