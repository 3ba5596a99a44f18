"""`innereye-run ls [FOLDER]`: the runs of a folder, in a table or as JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.parser import Parser, columns
from innereye_runtime.cli.ui.terminal import eprint
from innereye_runtime.errors import ExitCode

if TYPE_CHECKING:
    from innereye_runtime.run.summary import RunSummary


class Arguments(argparse.Namespace):
    folder: Path
    where: list[str]
    sort: str | None
    reverse: bool
    metrics: str | None
    limit: int | None
    json: bool


def parser() -> Parser:
    parser = Parser(
        "ls",
        usage="[FOLDER] [--where CONDITION] [--sort KEY] [--reverse] [--metrics NAMES] [--limit N] [--json]",
        about="Lists the runs in a folder, the newest first, or the trials of a sweep with their parameters. A KEY is\n"
        "name, state, started, duration, target, model, exit_code, or the name of a metric, a parameter or a tag.",
        examples=[
            "innereye-run ls",
            "innereye-run ls outputs --where 'val/loss<0.3' --where state=completed",
            "innereye-run ls outputs --sort test/auc --reverse --metrics test/auc,val/loss --limit 5",
        ],
    )
    parser.add_argument(
        "folder", metavar="FOLDER", nargs="?", type=Path, default=Path("outputs"), help="default: outputs"
    )
    parser.add_argument(
        "--where", action="append", default=[], metavar="CONDITION", help="only runs with KEY=, !=, <, <=, >, >= VALUE"
    )
    parser.add_argument("--sort", metavar="KEY", help="in the order of a key, the smallest first")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument("--metrics", metavar="NAMES", help="columns for these keys, with commas between them")
    parser.add_argument("--limit", metavar="N", type=int, help="the first N runs only")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.run.conditions import chosen, require_keys, sort_key
    from innereye_runtime.run.listing import list_runs

    found = list_runs(arguments.folder)
    names = [name.strip() for name in (arguments.metrics or "").split(",") if name.strip()]
    require_keys(found, [*names, *([arguments.sort] if arguments.sort else [])])
    runs = chosen(found, arguments.where)
    if arguments.sort:
        key = arguments.sort
        known = [run for run in runs if run.value(key) is not None]
        known.sort(key=lambda run: sort_key(run, key), reverse=arguments.reverse)
        runs = [*known, *(run for run in runs if run.value(key) is None)]
    elif arguments.reverse:
        runs.reverse()
    runs = runs if arguments.limit is None else runs[: max(arguments.limit, 0)]
    if arguments.json:
        print(json.dumps([{**run.to_data(), "folder": str(_folder(arguments.folder, run))} for run in runs], indent=2))
    elif runs:
        print(columns(_rows(runs, names, _parameters_of_trials(arguments.folder))))
    else:
        eprint(f"no runs in {arguments.folder}" + (" that meet the conditions" if found else ""))
    return ExitCode.DONE


def _folder(folder: Path, run: RunSummary) -> Path:
    direct = folder.absolute() / run.name
    return direct if direct.is_dir() else folder.absolute() / "trials" / run.name


def _parameters_of_trials(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """What the trials of a sweep differ in, by their names; nothing where the folder is not that of a sweep."""
    try:
        trials = json.loads((folder / "sweep.json").read_bytes())["trials"]
        return {trial["name"]: trial["parameters"] for trial in trials}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def _rows(
    runs: Sequence[RunSummary], names: Sequence[str], trials: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    with_tags = any(run.tags for run in runs)
    varied = [name for name in dict.fromkeys(name for trial in trials.values() for name in trial) if name not in names]
    tags = ["TAGS"] if with_tags else []
    header = ("RUN", "STATE", "STARTED", "DURATION", "TARGET", *varied, *(names or ["BEST"]), *tags)
    own = {run.name: [number(trials.get(run.name, {}).get(name)) for name in varied] for run in runs}
    return [header, *(_row(run, names, own[run.name], with_tags=with_tags) for run in runs)]


def _row(run: RunSummary, names: Sequence[str], parameters: Sequence[str], *, with_tags: bool) -> tuple[str, ...]:
    state = run.state
    if run.trials is not None:
        state += f" ({run.trials.get('completed', 0)}/{sum(run.trials.values())} trials)"
    best = f"{run.monitor} {number(run.best)}" if run.monitor and run.best is not None else ""
    values = [number(run.value(name)) for name in names] if names else [best]
    tags = [", ".join(f"{name}={value}" for name, value in run.tags.items())] if with_tags else []
    started = run.started.replace("T", " ").removesuffix("Z")
    return (run.name, state, started, duration(run.seconds), run.target, *parameters, *values, *tags)


def number(value: object) -> str:
    """A value in as many digits as tell runs apart; '' for none."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def duration(seconds: float | None) -> str:
    """Seconds as a person writes them: 4s, 3m 20s, 2h 05m."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours else f"{minutes}m {rest:02}s" if minutes else f"{rest}s"
