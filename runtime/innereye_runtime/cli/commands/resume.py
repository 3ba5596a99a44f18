"""`innereye-run resume RUN`: the next attempt of a run, in its own folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.commands.run import COLD_HELP, JSON_HELP, start
from innereye_runtime.cli.commands.verify import run_folder_argument
from innereye_runtime.cli.ui.parser import Parser, add_target
from innereye_runtime.cli.ui.registration import register_model
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from innereye_runtime.manifest.model import TargetName
    from innereye_runtime.run.paths import RunPaths


class Arguments(argparse.Namespace):
    run: str
    target: TargetName | None
    json: bool
    restart: bool
    cold: bool


def parser() -> Parser:
    parser = Parser(
        "resume",
        usage="RUN [--target process|docker|slurm|azureml] [--restart] [--cold] [--json]",
        about="Resumes a run that was stopped, killed or failed: in the same folder, from its newest readable\n"
        "checkpoint, as the next attempt. A run that is complete is left as it is. Of a run with a remote\n"
        "outputs.folder, the URL of its copy: the run is restored into outputs/ first.",
        examples=[
            "innereye-run resume outputs/2026-11-24T101530Z_HelloContainer",
            "innereye-run resume azure://account/container/runs/2026-11-24T101530Z_HelloContainer",
        ],
    )
    parser.add_argument(
        "run", metavar="RUN", help="a run folder, as the last line of a run names it, or the URL of its copy"
    )
    add_target(parser, default="where the run was")
    parser.add_argument(
        "--restart", action="store_true", help="set the checkpoints aside and train from the start, in the same folder"
    )
    parser.add_argument("--cold", action="store_true", help=COLD_HELP)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.introspection.code_root import code_root
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.manifest.dataset_ids import is_remote
    from innereye_runtime.run.folder_lock import ensure_free
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord, is_complete

    url = arguments.run if is_remote(arguments.run) else ""
    named = _restored(url) if url else Path(arguments.run)
    if (named / "sweep.json").is_file():
        from innereye_runtime.cli.ui.study import resume_many

        if arguments.restart:
            raise UsageError(
                "a sweep is not restarted as a whole", hint="start a new one, or restart one of its trials"
            )
        return resume_many(named.absolute(), target=arguments.target, as_json=arguments.json, cold=arguments.cold)
    paths = RunPaths(run_folder_argument(named))
    record = RunRecord.read(paths)
    if is_complete(paths, record) and not arguments.restart:
        import json

        from innereye_runtime.cli.ui.outcome import outcome

        eprint(f"{paths.root.name} is complete; there is nothing to resume")
        exit_code = _finish_copy(paths)
        if not exit_code:
            register_model(paths.root)  # it may not have come to that
        done = outcome(str(paths.root), exit_code)
        print(json.dumps(done) if arguments.json else paths.root)
        return exit_code
    if not paths.manifest.is_file():
        raise UsageError(f"{paths.root} has no manifest.yaml: it was stopped before it began", hint="start a new run")
    root = code_root(None, Path.cwd()) if url else record.code.get("root")
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


def _restored(url: str) -> Path:
    """The folder below outputs/ with the run whose copy is at `url`."""
    from innereye_runtime.launch.mirroring import restore_run

    return restore_run(url, Path.cwd() / "outputs", report=eprint).root


def _finish_copy(paths: RunPaths) -> int:
    """0 when a complete run has a complete copy, or none that it should have."""
    from innereye_runtime.launch.mirroring import finish_copy
    from innereye_runtime.manifest.loading import load

    manifest = load(paths.manifest).manifest if paths.manifest.is_file() else None
    return finish_copy(manifest, paths, report=eprint) if manifest is not None else ExitCode.DONE


def _set_aside(paths: RunPaths) -> None:
    """Moves the checkpoints to checkpoints/aside, below which no attempt looks for one; nothing is overwritten."""
    aside, number = paths.checkpoints / "aside", 1
    while aside.exists():
        number += 1
        aside = paths.checkpoints / f"aside-{number}"
    for path in [path for path in paths.checkpoints.glob("*") if path.is_file()]:
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name.lstrip("."))
