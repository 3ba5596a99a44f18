"""The folder that a run's manifest lay in when the run was started: modules beside it are imported, also when the run
is resumed from the manifest of its own folder."""

from __future__ import annotations

import json
from pathlib import Path

from innereye_runtime.run.paths import RunPaths


def manifest_folder(manifest: Path | None, root: Path) -> str:
    """The folder as run.json has it: relative to the code root where it is below it; '' for a manifest without a file.
    For the manifest of a run folder it is that of the run's start.
    """
    if manifest is None:
        return ""
    folder = manifest.parent
    return _recorded(folder) or (str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder))


def recorded_folder(manifest: Path | None, root: Path) -> Path | None:
    """The folder in which the manifest of a run folder lay when the run was started; None for any other manifest, and
    where there is no such folder on this machine."""
    recorded = _recorded(manifest.parent) if manifest is not None else ""
    folder = root / recorded
    return folder if recorded and folder.is_dir() else None


def _recorded(folder: Path) -> str:
    try:
        record = json.loads(RunPaths(folder).run_json.read_text(encoding="utf-8"))
        return str(record["code"].get("manifest_folder") or "")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""  # not a run folder, or a damaged record, which `resume` reports
