"""`innereye-run ps`: the containers of runs on the local Docker engine."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode

if TYPE_CHECKING:
    from innereye_runtime.targets.docker.runs import JobContainer


class Arguments(argparse.Namespace):
    target: str
    json: bool


def parser() -> Parser:
    parser = Parser(
        "ps",
        usage="[--target docker|azureml] [--json]",
        about="Lists the containers of runs on the local Docker engine, the newest first.\n"
        "One whose launcher is gone is marked: innereye-run clean stops and removes it.\n"
        "With --target azureml: the newest jobs of runs in the workspace of the environment or of config.json.",
        examples=["innereye-run ps", "innereye-run ps --json | jq -r '.[].run_folder'"],
    )
    parser.add_argument(
        "--target", choices=("docker", "azureml"), default="docker", help="where to look; default: docker"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    return _jobs(arguments) if arguments.target == "azureml" else _containers(arguments)


def _containers(arguments: Arguments) -> int:
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.runs import containers

    found = containers(connect())
    if arguments.json:
        print(json.dumps([container.describe() for container in found], indent=2))
    elif found:
        print(columns([("RUN", "STATUS", "IMAGE", "LAUNCHER"), *map(_row, found)]))
    else:
        from innereye_runtime.cli.ui.terminal import eprint

        eprint("no container of a run is here")
    return ExitCode.DONE


def _jobs(arguments: Arguments) -> int:
    from innereye_runtime.manifest.model import AzureMLSettings
    from innereye_runtime.targets.azureml.runs import newest_jobs
    from innereye_runtime.targets.azureml.session import Session
    from innereye_runtime.targets.azureml.settings import find_workspace

    settings = find_workspace(AzureMLSettings(), os.environ, Path.cwd())
    jobs = newest_jobs(Session(*settings.complete()))
    if arguments.json:
        print(json.dumps([job.describe() for job in jobs], indent=2))
    else:
        print(
            columns(
                [("RUN", "STATE", "CREATED", "JOB"), *((job.run, job.state, job.created, job.address) for job in jobs)]
            )
        )
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
