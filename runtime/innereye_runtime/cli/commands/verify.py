"""`innereye-run verify RUN`: whether a run folder still is what its outputs.json says."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.cli.ui.terminal import CYAN, RED, eprint, paint
from innereye_runtime.errors import ExitCode, UsageError
from innereye_runtime.run.paths import RunPaths


class Arguments(argparse.Namespace):
    folder: Path


def parser() -> Parser:
    parser = Parser(
        "verify",
        usage="RUN",
        about="Compares every file of a run folder with its outputs.json. Exit code 6: something differs.",
        examples=["innereye-run verify outputs/2026-11-24T101530Z_HelloContainer"],
    )
    add_run(parser)
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.run.output_manifest import verify

    root = run_folder_argument(arguments.folder)
    problems = verify(root)
    if problems:
        for problem in problems:
            eprint(f"{paint('error:', RED, sys.stderr)} {problem}")
        eprint(f"{paint('hint:', CYAN, sys.stderr)} {_remedy(root)}")
        return ExitCode.OUTPUTS
    print(f"{root}: every file is as it was written")
    return ExitCode.DONE


def _remedy(root: Path) -> str:
    if RunPaths(root).outputs_json.exists():
        return "the folder was changed after the run: restore these files, or run its manifest.yaml again"
    return f"innereye-run status {root} shows how it ended, innereye-run resume {root} resumes it"


def add_run(parser: Parser) -> None:
    """Adds the positional of the commands that work on a run folder."""
    parser.add_argument("folder", metavar="RUN", type=Path, help="a run folder, as the last line of a run names it")


def run_folder_argument(path: Path) -> Path:
    """The absolute path of a folder that holds a run.

    Raises:
        UsageError: it holds none; names the runs below it where there are some.
    """
    root = path.absolute()
    if (root / "run.json").is_file():
        return root
    if not root.is_dir():
        raise UsageError(f"there is no folder {path}")
    runs = sorted(child.parent.name for child in root.glob("*/run.json"))
    hint = f"it holds {len(runs)} runs, the newest is {path / runs[-1]}" if runs else "a run folder holds a run.json"
    raise UsageError(f"{path} is not a run folder", hint=hint)
