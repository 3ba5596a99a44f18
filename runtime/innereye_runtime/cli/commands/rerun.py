"""`innereye-run rerun RUN`: the same run once more, from what its record names, and whether it came to the same."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.cli.commands.run import JSON_HELP, start
from innereye_runtime.cli.commands.verify import run_folder_argument
from innereye_runtime.cli.ui.parser import Parser, add_target
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.run.record import RunRecord


class Arguments(argparse.Namespace):
    folder: Path
    target: str | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "rerun",
        usage="RUN [--target process|docker|slurm|azureml] [--json]",
        about="Runs a run once more, in a new folder beside it (a trial: beside its sweep): its effective manifest,\n"
        "and its code at the recorded commit with the recorded changes, in a git worktree that is removed afterwards.\n"
        "What can't be had again is listed before it starts. Ends with exit code 0 where weights and metrics are\n"
        "equal, else with 6.",
        examples=["innereye-run rerun outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="a run folder, as the last line of a run names it")
    add_target(parser, default="where the run was")
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.introspection.code_root import code_root
    from innereye_runtime.job.checkout import checked_out
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.run.paths import RunPaths, create_run_folder
    from innereye_runtime.run.record import RunRecord, is_complete

    if (arguments.folder / "sweep.json").is_file():
        raise UsageError(
            f"{arguments.folder} is the folder of a sweep, and one of its trials can be run again",
            hint=f"innereye-run ls {arguments.folder} lists them",
        )
    paths = RunPaths(run_folder_argument(arguments.folder))
    record = RunRecord.read(paths)
    if not is_complete(paths, record):
        raise UsageError(
            f"{paths.root.name} is {record.state}, and there is nothing to compare with",
            hint=f"innereye-run resume {arguments.folder} completes it",
        )
    with ExitStack() as stack:
        code = stack.enter_context(checked_out(record.code, here=code_root(None, Path.cwd())))
        target = arguments.target or record.target
        settings, missing = _image(record, target)
        _note(*code.notes, *missing)
        job = resolve_job(
            paths.manifest, cwd=Path.cwd(), overrides=settings, target=target, smoke=record.smoke, root=code.root
        )
        _note(*_differing(job, record))
        again = create_run_folder(_outputs_of(paths.root), job.model_name, datetime.now(UTC))
        exit_code = start(replace(job, run_folder=again.root), as_json=arguments.json)
    return exit_code or _compared(paths.root, again.root)


def _note(*notes: str) -> None:
    for note in notes:
        eprint(f"note: {note}")


def _image(record: RunRecord, target: str) -> tuple[list[str], list[str]]:
    """What puts the image of the run in the place of the one that has its name now, and what to note of it."""
    image = record.image or {}
    if target != "docker" or not image.get("digest") or record.manifest.get("packages"):
        return [], []
    from innereye_runtime.targets.docker.recorded_image import recorded_image

    name = recorded_image(image)
    if name is None:
        return [], [
            f"the engine does not have the image of the run any more: {image['reference']} was {image['digest']}"
        ]
    return ([] if name == image["reference"] else [f"--set=compute.docker.image={name}"]), []


def _differing(job: Job, record: RunRecord) -> Iterator[str]:
    """What is not as it was, of what is outside of the code.

    Raises:
        DataError: a dataset is not there any more.
    """
    from innereye_runtime.job.checkout import packages_that_differ
    from innereye_runtime.job.datasets import datasets_of
    from innereye_runtime.job.recorded_data import datasets_that_differ

    if job.manifest.compute.target == "process":
        yield from packages_that_differ(record.packages)
    if job.manifest.compute.target != "azureml":
        yield from datasets_that_differ(datasets_of(job), record.datasets)


def _outputs_of(run: Path) -> Path:
    """The folder of run folders: beside the sweep where the run is one of a sweep."""
    sweep = next((folder for folder in list(run.parents)[:2] if (folder / "sweep.json").is_file()), run)
    return sweep.parent


def _compared(first: Path, second: Path) -> int:
    from innereye_runtime.cli.commands.compare import records_of
    from innereye_runtime.run.comparison import compare

    found = compare(records_of([first, second]))
    if found.equal:
        eprint(f"equal: weights and metrics of {second.name} are those of {first.name}, bit by bit")
        return ExitCode.DONE
    differing = list(dict.fromkeys(f"{one.section} ({one.key})" for one in found.differences))
    because = ", ".join(differing[:5]) if differing else "nothing that the records name"
    eprint(f"not equal: weights or metrics of {second.name} differ from those of {first.name}")
    eprint(f"  what differs before that: {because}; innereye-run compare {first} {second} shows all")
    return ExitCode.OUTPUTS
