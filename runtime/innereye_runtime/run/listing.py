"""The runs of a folder. An index beside them saves reading each run.json again; it is rebuilt where it is lost or old.

The index is a cache and nothing else: each entry counts only as long as its files have the size and the time that it
was made from, and a folder that can't be written is listed without one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.run.summary import RUN_FILES, RunSummary, summarize

INDEX = ".runs.json"
_VERSION = 1


def list_runs(folder: Path) -> list[RunSummary]:
    """The runs and sweeps in `folder`, the newest first; of a sweep's own folder, its trials in their order.

    Raises:
        UsageError: there is no such folder, or it can't be read.
    """
    trials = folder / "trials"
    if (folder / "sweep.json").is_file() and trials.is_dir():
        return sorted(_listed(trials), key=lambda run: run.name)
    return sorted(_listed(folder), key=lambda run: (run.started or run.name, run.name), reverse=True)


def _listed(folder: Path) -> list[RunSummary]:
    known = _read(folder)
    found: dict[str, tuple[list[int], RunSummary]] = {}
    changed = False
    for name in _names(folder):
        stamp = _stamp(folder / name)
        if stamp is None:
            continue
        entry = known.get(name)
        summary = _from_index(entry, stamp)
        if summary is None:
            summary = summarize(folder / name)
            changed = True
        if summary is not None:
            found[name] = stamp, summary
    if changed or found.keys() != known.keys():
        _write(folder, found)
    return [summary for _, summary in found.values()]


def _names(folder: Path) -> Sequence[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError as error:
        raise UsageError(
            f"{folder} can't be listed: {error.strerror}", hint="name a folder that has run folders in it"
        ) from None


def _stamp(folder: Path) -> list[int] | None:
    """What changes with a run's record: the time, size and file number of it, and whether its outputs are complete."""
    for name in RUN_FILES:
        try:
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116 - of ten thousand, each Path would cost a second
        except OSError:
            continue
        return [status.st_mtime_ns, status.st_size, status.st_ino, int(os.path.exists(f"{folder}/outputs.json"))]  # noqa: PTH110
    return None


def _from_index(entry: Any, stamp: list[int]) -> RunSummary | None:
    if not isinstance(entry, list) or entry[0] != stamp:
        return None
    try:
        return RunSummary.from_data(entry[1])
    except TypeError:  # of another version
        return None


def _read(folder: Path) -> Mapping[str, Any]:
    try:
        index = json.loads((folder / INDEX).read_bytes())
        runs = index["runs"] if index["version"] == _VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return runs if isinstance(runs, dict) else {}


def _write(folder: Path, found: Mapping[str, tuple[list[int], RunSummary]]) -> None:
    runs = {name: [stamp, summary.to_data()] for name, (stamp, summary) in found.items()}
    temporary = folder / f"{INDEX}.{os.getpid()}.tmp"
    with suppress(OSError):
        try:
            temporary.write_text(json.dumps({"version": _VERSION, "runs": runs}), encoding="utf-8")
            temporary.replace(folder / INDEX)
        finally:
            temporary.unlink(missing_ok=True)
