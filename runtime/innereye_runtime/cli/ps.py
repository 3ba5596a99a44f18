"""`innereye-run ps`: the containers of runs on the local Docker engine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from innereye_runtime.cli.parser import Parser
from innereye_runtime.errors import ExitCode

if TYPE_CHECKING:
    from innereye_runtime.targets.docker_containers import JobContainer


class Arguments(argparse.Namespace):
    json: bool


def parser() -> Parser:
    parser = Parser(
        "ps",
        usage="[--json]",
        about="Lists the containers of runs on the local Docker engine, the newest first.\n"
        "One whose launcher is gone is marked: innereye-run clean stops and removes it.",
        examples=["innereye-run ps", "innereye-run ps --json | jq -r '.[].run_folder'"],
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.targets.docker_containers import containers
    from innereye_runtime.targets.docker_engine import connect

    arguments, _ = parser().read(argv, Arguments())
    found = containers(connect())
    if arguments.json:
        print(json.dumps([container.describe() for container in found], indent=2))
    elif found:
        print(columns([("RUN", "STATUS", "IMAGE", "LAUNCHER"), *map(_row, found)]))
    else:
        from innereye_runtime.cli.terminal import say

        say("no container of a run is here")
    return ExitCode.DONE


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(container: JobContainer) -> tuple[str, ...]:
    launcher = "gone: innereye-run clean" if container.orphan else container.launcher
    return container.run, container.status, container.image, launcher
