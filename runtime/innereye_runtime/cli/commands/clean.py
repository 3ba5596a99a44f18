"""`innereye-run clean`: stops and removes what launchers that were killed left behind."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    json: bool


def parser() -> Parser:
    parser = Parser(
        "clean",
        usage="[--json]",
        about="Stops and removes the containers whose launcher is gone; a running one gets time to save a checkpoint.\n"
        "Run folders stay. Containers that have a launcher are left alone. Jobs of a stand-in that was killed go too.",
        examples=["innereye-run clean"],
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, run_folder, exit_code, removed")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.standin.jobs.leftovers import remove_left_behind
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.runs import containers, stop_all

    arguments, _ = parser().read(argv, Arguments())
    client = connect()
    ended = stop_all(client, [container for container in containers(client) if container.orphan])
    of_standins = remove_left_behind()
    if arguments.json:
        print(json.dumps([one.describe() for one in ended], indent=2))
    elif ended or of_standins:
        for one in ended:
            print(f"{one.run}: {one.summary()}")
        for thing in of_standins:
            print(f"{thing.kind} {thing.name} of a stand-in: removed")
    else:
        from innereye_runtime.cli.ui.terminal import eprint

        eprint("nothing was left behind")
    return ExitCode.DONE
