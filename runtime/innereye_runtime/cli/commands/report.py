"""`innereye-run report RUN`: report.html again, from the files of the run folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.commands.verify import add_run, run_folder_argument
from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode


class Arguments(argparse.Namespace):
    folder: Path


def parser() -> Parser:
    parser = Parser(
        "report",
        usage="RUN",
        about="Regenerates the report.html of a run folder from its files, and prints its path.",
        examples=["innereye-run report outputs/2026-11-24T101530Z_HelloContainer"],
    )
    add_run(parser)
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.report import write_report
    from innereye_runtime.run.output_manifest import verify, write_outputs
    from innereye_runtime.run.paths import RunPaths

    paths = RunPaths(run_folder_argument(arguments.folder))
    # A folder that was whole is whole again after it: its outputs.json then tells of the new report.
    whole = paths.outputs_json.is_file() and not verify(paths.root)
    print(write_report(paths))
    if whole:
        write_outputs(paths.root, ())
    return ExitCode.DONE
