"""`innereye-run ps`: the runs that are active, on this machine or on the target that is named."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.ui.parser import Parser, add_target, columns
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, PreflightError


class Arguments(argparse.Namespace):
    target: str | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "ps",
        usage="[--target TARGET] [--json]",
        about="Lists the active runs on this machine, the newest first: in processes of their own and in containers.\n"
        "One whose launcher is gone is marked: innereye-run clean stops and removes it.\n"
        "With --target azureml: the newest jobs of runs in the workspace of the environment or of config.json.",
        examples=["innereye-run ps", "innereye-run ps --json | jq -r '.[].run_folder'"],
    )
    add_target(parser, does="where to look", default="this machine")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.base import RunStatus
    from innereye_runtime.targets.registry import get_target, local_targets

    arguments, _ = parser().read(argv, Arguments())
    found: list[RunStatus] = []
    if arguments.target:
        found += get_target(arguments.target).list()
    else:
        for name, target in local_targets().items():
            try:
                found += target.list()
            except PreflightError as error:  # a machine without an engine has processes all the same
                eprint(f"note: runs of target {name} are not listed: {error}")
    if arguments.json:
        print(json.dumps([status.describe() for status in found], indent=2))
    elif found:
        rows = [(one.run, one.target, one.since or one.state, one.place, one.note) for one in found]
        print(columns([("RUN", "TARGET", "STATUS", "WHERE", "NOTE"), *rows]))
    else:
        eprint("no active runs on this machine" if not arguments.target else f"no runs on target {arguments.target}")
    return ExitCode.DONE
