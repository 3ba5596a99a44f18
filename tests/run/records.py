"""Run folders with a record and nothing else, for tests of what reads many of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from tests.report.folders import RECORD


def record(**changes: Any) -> dict[str, Any]:
    """A record of a completed run, with some of its keys replaced."""
    return {**copy.deepcopy(RECORD), **changes}


def run_folder(folder: Path, name: str, **changes: Any) -> Path:
    """A complete run folder with that record."""
    root = folder / name
    root.mkdir(parents=True)
    (root / "run.json").write_text(json.dumps(record(**changes)))
    (root / "outputs.json").write_text("{}")
    return root
