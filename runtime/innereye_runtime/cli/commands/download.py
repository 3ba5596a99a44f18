"""`innereye-run download JOB`: brings the run folder of a job in Azure Machine Learning here."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    job: str
    to: Path | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "download",
        usage="JOB [--to FOLDER] [--json]",
        about="Downloads the run folder of a job in Azure Machine Learning, and verifies every file against its\n"
        "outputs.json. Files that are complete are not downloaded again. Exit code 6: something is missing or damaged.",
        examples=["innereye-run download azureml://subscriptions/S/resourcegroups/G/workspaces/W/jobs/JOB"],
    )
    parser.add_argument("job", metavar="JOB", help="the address of a job, as innereye-run prints it: azureml://...")
    parser.add_argument(
        "--to", type=Path, metavar="FOLDER", help="the folder that the run folder goes to; default: outputs"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object: run, files, exit_code")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.targets.registry import attach

    home = attach(arguments.job).download((arguments.to or Path("outputs")).absolute())
    if arguments.json:
        print(json.dumps({"run": str(home.folder), "files": home.files, "exit_code": home.exit_code}))
        return ExitCode.DONE
    if home.exit_code is None:
        eprint("the job is not over: this is what it has written so far")
    elif home.exit_code != ExitCode.DONE:
        eprint(f"the run ended with exit code {home.exit_code}")
    print(home.folder)
    return ExitCode.DONE
