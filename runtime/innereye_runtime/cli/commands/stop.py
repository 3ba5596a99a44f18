"""`innereye-run stop RUN`: asks runs in containers and in AzureML to save a checkpoint and end."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from typing import Any

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode
from innereye_runtime.targets.azureml.job_uri import is_job_uri


class Arguments(argparse.Namespace):
    runs: list[str]
    json: bool


def parser() -> Parser:
    parser = Parser(
        "stop",
        usage="RUN ... [--json]",
        about="Asks runs in containers to save a checkpoint and end, and kills one that has not within 30 seconds.\n"
        "RUN may also be the address of a job in Azure Machine Learning. innereye-run resume goes on with it later.",
        examples=["innereye-run stop outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, or a name or id that ps shows")
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, run_folder, exit_code, removed")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    jobs = [run for run in arguments.runs if is_job_uri(run)]
    told = [*_jobs(jobs), *_containers([run for run in arguments.runs if run not in jobs])]
    if arguments.json:
        print(json.dumps([described for described, _ in told], indent=2))
    else:
        for _, line in told:
            print(line)
    return ExitCode.DONE


def _containers(runs: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    if not runs:
        return
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.runs import find, stop_all

    client = connect()
    for one in stop_all(client, find(client, runs)):
        yield one.describe(), f"{one.run}: {one.summary()}"


def _jobs(addresses: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    if not addresses:
        return
    from innereye_runtime.targets.azureml.job_uri import JobUri
    from innereye_runtime.targets.azureml.runs import session_of, stop

    for address in map(JobUri.parse, addresses):
        state = stop(session_of(address), address)
        yield {"run": str(address), "state": state}, f"{address.job}: {state}"
