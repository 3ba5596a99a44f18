"""`innereye-run resume RUN`: the next attempt of a run, in its own folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.commands.run import COLD_HELP, JSON_HELP, start
from innereye_runtime.cli.commands.verify import add_run, run_folder_argument
from innereye_runtime.cli.ui.parser import Parser, add_target
from innereye_runtime.cli.ui.registration import register_model
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from innereye_runtime.manifest.model import TargetName
    from innereye_runtime.run.paths import RunPaths


class Arguments(argparse.Namespace):
    folder: Path
    target: TargetName | None
    json: bool
    restart: bool
    cold: bool


def parser() -> Parser:
    parser = Parser(
        "resume",
        usage="RUN [--target process|docker|slurm|azureml] [--restart] [--cold] [--json]",
        about="Resumes a run that was stopped, killed or failed: in the same folder, from its newest readable\n"
        "checkpoint, as the next attempt. A run that is complete is left as it is.",
        examples=["innereye-run resume outputs/2026-11-24T101530Z_HelloContainer"],
    )
    add_run(parser)
    add_target(parser, default="where the run was")
    parser.add_argument(
        "--restart", action="store_true", help="set the checkpoints aside and train from the start, in the same folder"
    )
    parser.add_argument("--cold", action="store_true", help=COLD_HELP)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.run.folder_lock import ensure_free
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord, is_complete

    if (arguments.folder / "sweep.json").is_file():
        from innereye_runtime.cli.ui.study import resume_many

        if arguments.restart:
            raise UsageError(
                "a sweep is not restarted as a whole", hint="start a new one, or restart one of its trials"
            )
        folder = arguments.folder.absolute()
        return resume_many(folder, target=arguments.target, as_json=arguments.json, cold=arguments.cold)
    paths = RunPaths(run_folder_argument(arguments.folder))
    record = RunRecord.read(paths)
    if is_complete(paths, record) and not arguments.restart:
        import json

        from innereye_runtime.cli.commands.run import outcome

        eprint(f"{paths.root.name} is complete; there is nothing to resume")
        register_model(paths.root)  # it may not have come to that
        done = outcome(str(paths.root), ExitCode.DONE)
        print(json.dumps(done) if arguments.json else paths.root)
        return ExitCode.DONE
    if not paths.manifest.is_file():
        raise UsageError(f"{paths.root} has no manifest.yaml: it was stopped before it began", hint="start a new run")
    root = record.code.get("root")
    job = resolve_job(
        paths.manifest,
        cwd=Path.cwd(),
        target=arguments.target or record.target,
        smoke=record.smoke,
        root=Path(root) if root else None,
        run_folder=paths.root,
    )
    if arguments.restart:
        ensure_free(paths)
        _set_aside(paths)
        job = replace(job, restart=True)
    return start(job, as_json=arguments.json, hands_over=True)


def _set_aside(paths: RunPaths) -> None:
    """Moves the checkpoints to checkpoints/aside, below which no attempt looks for one; nothing is overwritten."""
    aside, number = paths.checkpoints / "aside", 1
    while aside.exists():
        number += 1
        aside = paths.checkpoints / f"aside-{number}"
    for path in [path for path in paths.checkpoints.glob("*") if path.is_file()]:
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name.lstrip("."))
