"""`innereye-run compare RUN RUN ...`: what differs between runs, and what came of it, side by side."""

from __future__ import annotations

import argparse
import difflib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from innereye_runtime.cli.commands.ls import number
from innereye_runtime.cli.commands.verify import run_folder_argument
from innereye_runtime.cli.ui.parser import Parser, columns
from innereye_runtime.errors import ExitCode, PreflightError, UsageError

if TYPE_CHECKING:
    from innereye_runtime.run.comparison import Comparison, Difference

_SIDE_BY_SIDE = 4
"""So many runs are columns; more are rows."""
_CELL = 40


class Arguments(argparse.Namespace):
    folders: list[Path]
    json: bool
    html: Path | None


def parser() -> Parser:
    parser = Parser(
        "compare",
        usage="RUN RUN ... [--json] [--html FILE]",
        about="Shows what differs between runs: parameters, manifest, code with its diff, packages, data and\n"
        "hardware; then their metrics and weights. A sweep's folder is compared by its trials, with the\n"
        "importance of each parameter for the primary metric.",
        examples=[
            "innereye-run compare outputs/2026-11-24T101530Z_Hello outputs/2026-11-24T114200Z_Hello",
            "innereye-run compare --json outputs/2026-11-24T120000Z_sweep | jq .differences",
            "innereye-run compare --html comparison.html outputs/2026-11-24T1*_Hello",
        ],
    )
    parser.add_argument("folders", metavar="RUN", nargs="+", type=Path, help="run folders, or the folder of a sweep")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also write a page: of runs, with their curves over each other; of one sweep,\nwith its trials as "
        "parallel coordinates, the importance and the table",
    )
    return parser


def run(argv: Sequence[str]) -> int:
    arguments, _ = parser().read(argv, Arguments())
    from innereye_runtime.run.comparison import compare

    sweep = arguments.folders[0] if len(arguments.folders) == 1 and _is_sweep(arguments.folders[0]) else None
    importance = _importance(sweep) if sweep is not None else None
    folders = [each for folder in arguments.folders for each in _runs_in(folder)]
    records = records_of(folders)
    if arguments.html is not None and sweep is not None:
        _write(arguments.html, _sweep_page(sweep, importance, arguments.html))
    if len(records) < 2:
        raise UsageError("there is one run, and nothing to compare it with", hint="name two run folders or more")
    found = compare(records)
    if arguments.html is not None and sweep is None:
        _write(arguments.html, _comparison_page(found, folders, arguments.html))
    if arguments.json:
        more = {"importance": importance} if importance is not None else {}
        print(json.dumps({**found.to_data(), **more}, indent=2, ensure_ascii=False))
    else:
        print("\n".join((*_text(found), *_told(importance))))
    return ExitCode.DONE


def _is_sweep(folder: Path) -> bool:
    return (folder / "sweep.json").is_file()


def _importance(sweep: Path) -> dict[str, Any] | None:
    """Of the sweep's parameters, from its trials so far; None where it has no search."""
    from innereye_runtime.manifest.loading import load
    from innereye_runtime.sweep.importance import importance_of
    from innereye_runtime.sweep.record import SweepRecord

    manifest = load(sweep / "manifest.yaml").manifest
    return importance_of(manifest.sweep, SweepRecord.read(sweep)) if manifest is not None else None


def _told(importance: dict[str, Any] | None) -> Iterator[str]:
    if importance is None:
        return
    yield ""
    if "parameters" in importance:
        rows = [(name, f"{share:.2f}") for name, share in importance["parameters"].items()]
        yield columns([("importance", f"of {importance['trials']} trials"), *rows])
    else:
        yield f"note: no importance of parameters: {importance['reason']}"


def _sweep_page(sweep: Path, importance: dict[str, Any] | None, file: Path) -> str:
    """The page of the sweep as it is now, with links to the runs that lead there from `file`."""
    from innereye_runtime.report.sweep_page import sweep_page
    from innereye_runtime.sweep.record import SweepRecord
    from innereye_runtime.sweep.results import metrics_of

    record = SweepRecord.read(sweep)
    try:
        written = json.loads((sweep / "metrics.json").read_bytes())
    except (OSError, ValueError):
        written = {}  # the sweep has not ended
    metrics = metrics_of(sweep, record, importance=importance, predictions=written.get("predictions"))
    return sweep_page(record.to_data(), metrics, place=f"{_link(sweep, file)}/")


def _comparison_page(found: Comparison, folders: Sequence[Path], file: Path) -> str:
    from innereye_runtime.report.comparison_page import comparison_page
    from innereye_runtime.run.folder import read_columns

    places = dict(zip(found.names, dict.fromkeys(folders), strict=True))
    columns = {name: read_columns(folder / "metrics.csv") for name, folder in places.items()}
    links = {name: _link(folder / "report.html", file) for name, folder in places.items()}
    return comparison_page(found, columns, links=links)


def _link(place: Path, file: Path) -> str:
    """The address of `place` as a page in `file` has it."""
    return quote(os.path.relpath(place.resolve(), file.resolve().parent))


def _write(file: Path, page: str) -> None:
    """Writes the page.

    Raises:
        PreflightError: the file can't be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        reason = f"{file} can't be written: {error.strerror}"
        raise PreflightError(reason, hint="name another file by --html") from error


def _runs_in(folder: Path) -> list[Path]:
    """The run folder itself, or those of a sweep's trials."""
    if _is_sweep(folder):
        return sorted(file.parent.absolute() for file in folder.glob("trials/*/run.json"))
    return [run_folder_argument(folder)]


def records_of(folders: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """run.json of each folder, by the shortest name that tells it from the others."""
    records: dict[str, dict[str, Any]] = {}
    short = [folder.name for folder in folders]
    for folder in dict.fromkeys(folders):
        try:
            record = json.loads((folder / "run.json").read_bytes())
        except (OSError, ValueError) as error:
            raise UsageError(f"{folder / 'run.json'} can't be read: {error}") from error
        records[folder.name if short.count(folder.name) == 1 else str(folder)] = record
    return records


def _text(found: Comparison) -> Iterator[str]:
    if not found.differences:
        yield "No difference in parameters, manifest, code, packages, data and hardware."
    elif len(found.names) <= _SIDE_BY_SIDE:
        yield from _by_section(found)
    else:
        yield from _by_run(found)
    if len(found.names) <= _SIDE_BY_SIDE:
        rows = [(name, *map(_cell, values)) for name, values in {**found.results, **found.metrics}.items()]
        yield from ("", columns([("results", *found.names), *rows]))
    yield from ("", "Weights and metrics are equal." if found.equal else "Weights or metrics differ.")
    yield from (f"note: {note}" for note in found.notes)


def _by_section(found: Comparison) -> Iterator[str]:
    for position, section in enumerate(dict.fromkeys(one.section for one in found.differences)):
        differences = [one for one in found.differences if one.section == section]
        if position:
            yield ""
        diffs = [one for one in differences if _is_diff(one)]
        rows = [(one.key, *map(_cell, one.values)) for one in differences if one not in diffs]
        rows += [(one.key, *("changed" if value else "as committed" for value in one.values)) for one in diffs]
        yield columns([(section, *found.names), *rows])
        for one in diffs:
            yield from ("", *_between(one, found.names))


def _is_diff(one: Difference) -> bool:
    return one.section == "code" and one.key not in ("class", "commit")


def _between(one: Difference, names: Sequence[str]) -> Iterator[str]:
    """The changes of a file since the commit, of each run; of two runs that both have some, between those."""
    first, *rest = (value or "" for value in one.values)
    if len(rest) == 1 and first and rest[0]:
        lines = difflib.unified_diff(first.splitlines(), rest[0].splitlines(), names[0], names[1], lineterm="", n=1)
        yield from (f"  {line}" for line in lines)
        return
    for name, value in zip(names, one.values, strict=True):
        if value:
            yield f"  {name}:"
            yield from (f"  {line}" for line in value.splitlines())


def _by_run(found: Comparison) -> Iterator[str]:
    """A row for each run, a column for each difference and each metric that differs."""
    differing = {name: values for name, values in found.metrics.items() if len(set(values)) > 1}
    header = ("RUN", "state", *(one.key for one in found.differences), *differing)
    rows = [
        (
            name,
            _cell(found.results["state"][index]),
            *(
                _cell("changed" if _is_diff(one) and one.values[index] else one.values[index])
                for one in found.differences
            ),
            *(_cell(values[index]) for values in differing.values()),
        )
        for index, name in enumerate(found.names)
    ]
    yield columns([header, *rows])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = number(value) if isinstance(value, (int, float, str)) else json.dumps(value)
    return text if len(text) <= _CELL else f"{text[: _CELL - 3]}..."
