"""`innereye-run rm RUN ...`: removes run folders that nothing is writing to."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.cli.ui.parser import Parser
from innereye_runtime.errors import ExitCode, PreflightError, UsageError
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.paths import RunPaths


class Arguments(argparse.Namespace):
    folders: list[Path]
    dry_run: bool
    force: bool


def parser() -> Parser:
    parser = Parser(
        "rm",
        usage="RUN ... [--dry-run] [--force]",
        about="Removes run folders, and sweeps with all of their trials. Nothing is removed where one of them is\n"
        "running, is still being copied to a remote outputs.folder, or is not a run folder.",
        examples=["innereye-run rm outputs/2026-11-24T101530Z_HelloContainer"],
    )
    parser.add_argument("folders", metavar="RUN", nargs="+", type=Path, help="run folders, as innereye-run ls has them")
    parser.add_argument("--dry-run", action="store_true", help="only print what would be removed")
    parser.add_argument("--force", action="store_true", help="do not check whether a run is running or being copied")
    return parser


def run(argv: Sequence[str]) -> int:
    from innereye_runtime.run.linked_view import remove_folder_beside

    arguments, _ = parser().read(argv, Arguments())
    roots = [_removable(folder, force=arguments.force) for folder in arguments.folders]
    for root in dict.fromkeys(roots):
        if not arguments.dry_run:
            try:
                shutil.rmtree(root)
                remove_folder_beside(root)  # of a launcher that was killed
            except OSError as error:
                raise PreflightError(
                    f"{root} can't be removed: {error.filename}: {error.strerror}", hint="check who owns the files"
                ) from error
        print(f"{'would remove' if arguments.dry_run else 'removed'} {root}")
    return ExitCode.DONE


def _removable(folder: Path, *, force: bool) -> Path:
    """The absolute path of a run folder that can go.

    Raises:
        UsageError: it is not one, it is a link, or its run is active or being copied.
    """
    root = folder.absolute()
    if root.is_symlink():
        raise UsageError(f"{folder} is a link", hint=f"name the folder itself, {root.resolve()}")
    is_sweep = (root / "sweep.json").is_file()
    if not is_sweep and not (root / "run.json").is_file():
        missing = not root.exists()
        raise UsageError(
            f"there is no folder {folder}" if missing else f"{folder} is not a run folder: it has no run.json",
            hint="innereye-run ls lists the runs in a folder",
        )
    active = None if force else _active_below(root)
    if active is not None:
        raise UsageError(f"{active} is running", hint=f"innereye-run stop {active} ends it")
    if not force and (url := next(filter(None, map(MirrorState.copied_now, _runs_below(root))), "")):
        raise UsageError(f"{root} is still being copied to {url}", hint="wait until the copy is complete")
    return root


def _runs_below(root: Path) -> Iterator[RunPaths]:
    """The run of a folder, or those of a sweep."""
    yield from map(RunPaths, (root, *root.glob("trials/*"), root / "ensemble"))


def _active_below(root: Path) -> Path | None:
    """The folder of a run in `root`, or `root` itself, that something on this machine or on its cluster writes to.

    Raises:
        PreflightError: a record says that its container or job is running, and no engine or cluster answers.
    """
    from innereye_runtime.run.process_id import is_alive
    from innereye_runtime.targets.registry import get_target

    resolved = root.resolve()
    folders = [str(one.details["run_folder"]) for one in get_target("process").list()]
    records = [_record(paths.run_json) for paths in _runs_below(root)]
    targets = {record.get("target") for record in records if record.get("state") == "running"}
    sweep = _record(root / "sweep.json")
    trials = [
        one
        for one in (*sweep.get("trials", ()), sweep.get("ensemble") or {})
        if one.get("state") in ("planned", "running")
    ]
    if "docker" in targets:
        listed = get_target("docker").list()
        folders += [str(one.details["run_folder"]) for one in listed if one.state in ("created", "running", "paused")]
    if sweep.get("target") == "slurm":
        targets |= {"slurm" for one in trials if one.get("launcher")}
        trials = []  # theirs are jobs and not processes
    if "slurm" in targets:
        folders += [str(one.details["run_folder"]) for one in get_target("slurm").list()]
    launchers = [one.get("launcher") for one in (sweep, *trials) if one.get("state") == "running"]
    if any(is_alive(str(launcher)) for launcher in launchers if launcher):
        return root
    return next((Path(one) for one in folders if one and Path(one).resolve().is_relative_to(resolved)), None)


def _record(file: Path) -> Mapping[str, Any]:
    """What the file holds; nothing where it is missing or broken."""
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
