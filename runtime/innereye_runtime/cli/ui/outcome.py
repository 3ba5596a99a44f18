"""What a run came to, as `--json` prints it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NO_RUN: dict[str, Any] = {"run": None, "state": None, "exit_code": None, "metrics": {}, "weights_sha256": None}


def outcome(run: str, exit_code: int) -> dict[str, Any]:
    """What `--json` prints: the state and the metrics come from run.json, where the running side got as far as that."""
    from innereye_runtime.run.paths import RunPaths
    from innereye_runtime.run.record import RunRecord, state_of

    found = {**NO_RUN, "run": run, "state": state_of(exit_code), "exit_code": exit_code}
    paths = RunPaths(Path(run))
    if paths.run_json.is_file():
        record = RunRecord.read(paths)
        found["metrics"] = record.metrics
        found["weights_sha256"] = record.checkpoints.get("last", {}).get("weights_sha256")
    return found
