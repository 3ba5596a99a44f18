"""`innereye-run clean`: stops and removes what launchers that were killed left behind."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.ui.parser import Parser, add_target
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, PreflightError


class Arguments(argparse.Namespace):
    target: str | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "clean",
        usage="[--target TARGET] [--json]",
        about="Stops and removes the processes and containers whose launcher is gone; a running one gets time to save\n"
        "a checkpoint. Run folders stay. Runs that have a launcher are left alone.",
        examples=["innereye-run clean"],
    )
    add_target(parser, does="where to clean", default="this machine")
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, run_folder, exit_code, removed")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.base import StopResult
    from innereye_runtime.targets.registry import get_target, local_targets

    arguments, _ = parser().read(argv, Arguments())
    removed: list[StopResult] = []
    if arguments.target:
        removed += get_target(arguments.target).clean()
    else:
        for name, target in local_targets().items():
            try:
                removed += target.clean()
            except PreflightError as error:
                eprint(f"note: target {name} was not cleaned: {error}")
    if arguments.json:
        print(json.dumps([one.describe() for one in removed], indent=2))
    for one in [] if arguments.json else removed:
        print(f"{one.run}: {one.summary}")
    if not removed and not arguments.json:
        eprint("nothing was left behind")
    return ExitCode.DONE
