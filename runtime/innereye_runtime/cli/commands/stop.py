"""`innereye-run stop RUN`: asks runs to save a checkpoint and end, wherever they are."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    runs: list[str]
    json: bool


def parser() -> Parser:
    parser = Parser(
        "stop",
        usage="RUN ... [--json]",
        about="Asks runs to save a checkpoint and end, and kills one that has not within 30 seconds. RUN may also be\n"
        "the URI of a job in Azure Machine Learning. innereye-run resume resumes it later.",
        examples=["innereye-run stop outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run folder, or a name or id that ps shows")
    parser.add_argument("--json", action="store_true", help="print one JSON list: run, run_folder, exit_code, removed")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.sweep.handle import handle_of

    arguments, _ = parser().read(argv, Arguments())
    handles = [handle_of(reference) for reference in dict.fromkeys(arguments.runs)]
    with ThreadPoolExecutor(max_workers=len(handles)) as threads:  # all at once: each may take its 30 seconds
        stopped = [result for results in threads.map(lambda handle: handle.stop(), handles) for result in results]
    if arguments.json:
        print(json.dumps([one.describe() for one in stopped], indent=2))
    else:
        for one in stopped:
            print(f"{one.run}: {one.summary}")
    return ExitCode.DONE
