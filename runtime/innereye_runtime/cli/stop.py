"""`innereye-run stop RUN`: asks runs in containers to save a checkpoint and end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.parser import Parser
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    runs: list[str]
    json: bool


def parser() -> Parser:
    parser = Parser(
        "stop",
        usage="RUN ... [--json]",
        about="Asks runs in containers to save a checkpoint and end, and kills one that has not within 30 seconds.\n"
        "innereye-run resume goes on with it later.",
        examples=["innereye-run stop outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, or a name or id that ps shows")
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, run_folder, exit_code, removed")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.docker_containers import end_all, find
    from innereye_runtime.targets.docker_engine import connect

    arguments, _ = parser().read(argv, Arguments())
    client = connect()
    ended = end_all(client, find(client, arguments.runs))
    if arguments.json:
        print(json.dumps([one.describe() for one in ended], indent=2))
    else:
        for one in ended:
            print(f"{one.run}: {one.told()}")
    return ExitCode.DONE
