"""`innereye-run status RUN`: the state of a run, from its folder or from the target that it is on."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.ui.parser import Parser, table
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    run: str
    json: bool


def parser() -> Parser:
    parser = Parser(
        "status",
        usage="RUN [--json]",
        about="Shows the state of a run or a sweep. RUN is its folder, a name or id that ps shows, or the URI of a\n"
        "job in Azure Machine Learning.",
        examples=[
            "innereye-run status outputs/2026-11-24T101530Z_HelloContainer",
            "innereye-run status azureml://subscriptions/S/resourcegroups/G/workspaces/W/jobs/JOB",
        ],
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or azureml://... as innereye-run prints it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.sweep.handle import handle_of

    arguments, _ = parser().read(argv, Arguments())
    status = handle_of(arguments.run).status()
    if arguments.json:
        print(json.dumps(status, indent=2))
    else:
        print(table([(key, str(value)) for key, value in status.items() if value not in ("", None)]).rstrip("\n"))
    return ExitCode.DONE
