"""`innereye-run logs RUN`: what a run printed, from its container, from AzureML or, when it is over, from its
folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode, InnerEyeError, PreflightError, UsageError
from innereye_runtime.targets.azureml.job_uri import is_job_uri


class Arguments(argparse.Namespace):
    run: str
    follow: bool
    json: bool


def parser() -> Parser:
    parser = Parser(
        "logs",
        usage="RUN [-f] [--json]",
        about="Prints what a run has printed, byte for byte. RUN is a run folder, a name or id that ps shows, or\n"
        "the address of a job in Azure Machine Learning: azureml://...",
        examples=["innereye-run logs -f outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or a name or id that ps shows")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument("--json", action="store_true", help="a JSON object for each piece: stream and text")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    try:
        return _of_job(arguments) if is_job_uri(arguments.run) else _of_run(arguments)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PreflightError(f"the log can't be shown: {error.strerror or error}") from error


def _of_run(arguments: Arguments) -> int:
    kept = Path(arguments.run) / "logs" / "console.log"
    try:
        _from_container(arguments)
    except InnerEyeError:
        if not kept.is_file():
            raise
        _write(kept.read_bytes(), None, as_json=arguments.json)
    return ExitCode.DONE


def _of_job(arguments: Arguments) -> int:
    from innereye_runtime.targets.azureml.job_uri import JobUri
    from innereye_runtime.targets.azureml.log_stream import DetachedError
    from innereye_runtime.targets.azureml.runs import print_log, session_of

    address = JobUri.parse(arguments.run)
    if arguments.json:
        raise UsageError("--json tells standard output from standard error, which are one log in AzureML")
    try:
        print_log(session_of(address), address, goes_on=arguments.follow, stdout=1)
    except DetachedError:
        return ExitCode.INTERRUPTED
    return ExitCode.DONE


def _from_container(arguments: Arguments) -> None:
    from innereye_runtime.targets.docker.engine import connect
    from innereye_runtime.targets.docker.runs import find, output

    client = connect()
    found = find(client, [arguments.run])
    if len(found) > 1:
        names = ", ".join(container.name for container in found)
        raise UsageError(f"'{arguments.run}' names several containers: {names}", hint="name one of them")
    for stdout, stderr in output(client, found[0], follow=arguments.follow):
        _write(stdout, stderr, as_json=arguments.json)


def _write(stdout: bytes | None, stderr: bytes | None, *, as_json: bool) -> None:
    from innereye_runtime.targets.writing import write_all

    for data, descriptor, stream in ((stdout, 1, "stdout"), (stderr, 2, "stderr")):
        if data and as_json:
            print(json.dumps({"stream": stream, "text": data.decode(errors="replace")}), flush=True)
        elif data:
            write_all(descriptor, data)
