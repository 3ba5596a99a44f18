"""Trains, evaluates and reports on two batches: `python -m pytest`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_job_runs_end_to_end(tmp_path: Path) -> None:
    command = ["innereye-run", "--smoke", "--json", "manifest.yaml", f"--output_to={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["state"] == "completed"
