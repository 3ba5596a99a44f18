"""`innereye-run logs RUN`: what a run printed, from where it runs or, when it is over, from its folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode, PreflightError, UsageError


class Arguments(argparse.Namespace):
    run: str
    follow: bool
    json: bool


def parser() -> Parser:
    parser = Parser(
        "logs",
        usage="RUN [-f] [--json]",
        about="Prints what a run has printed, byte for byte. RUN is a run folder, a name or id that ps shows, or\n"
        "the URI of a job in Azure Machine Learning: azureml://... Of a sweep's folder, what each trial has printed.",
        examples=["innereye-run logs -f outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or a name or id that ps shows")
    parser.add_argument("-f", "--follow", action="store_true", help="keep streaming until the run ends")
    parser.add_argument("--json", action="store_true", help="a JSON object for each piece: stream and text")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.sweep.handle import handle_of
    from innereye_runtime.targets.supervision import DetachedError

    arguments, _ = parser().read(argv, Arguments())
    handle = handle_of(arguments.run)
    if arguments.json and not handle.has_two_streams:
        raise UsageError(
            f"--json is not available for {arguments.run}: its log does not separate stdout from stderr",
            hint="leave --json out",
        )
    try:
        handle.logs(_write_json if arguments.json else _write, follow=arguments.follow)
    except DetachedError:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        raise
    except OSError as error:
        raise PreflightError(f"cannot show the log: {error.strerror or error}") from error
    return ExitCode.DONE


def _write(descriptor: int, data: bytes) -> None:
    from innereye_runtime.targets.supervision import write_all

    write_all(descriptor, data)


def _write_json(descriptor: int, data: bytes) -> None:
    stream = "stdout" if descriptor == 1 else "stderr"
    print(json.dumps({"stream": stream, "text": data.decode(errors="replace")}), flush=True)
