"""The runs that were detached and have not come home: a small file for each, in `.detached` of the outputs folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from innereye_runtime.errors import UsageError

FOLDER = ".detached"


def record_detached(outputs: Path, run: str, reference: str) -> None:
    """Keeps the reference of a run whose folder is to come to `outputs`; a later job of the run takes its place."""
    folder = outputs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / run).write_text(f"{reference}\n", encoding="utf-8")


def detached_runs(outputs: Path) -> Mapping[str, str]:
    """The reference of each run that was detached and is not forgotten yet, by its name, the oldest first.

    Raises:
        UsageError: a file of them can't be read.
    """
    folder = outputs / FOLDER
    try:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {name: (folder / name).read_text(encoding="utf-8").strip() for name in names}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder} can't be read: {error}", hint="download each job by its reference") from error


def forget_detached(outputs: Path, run: str) -> None:
    """The run is home, and complete."""
    (outputs / FOLDER / run).unlink(missing_ok=True)
