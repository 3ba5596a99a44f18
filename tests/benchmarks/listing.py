"""How long `ls` takes of a folder of ten thousand runs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.benchmarks.commands import innereye_run
from tests.benchmarks.pairs import Row, seconds_of
from tests.run.records import record

RUNS = 10_000
ROUNDS = 10


def ls() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name)
        for number in range(RUNS):
            run = outputs / f"2026-11-24T{number:06}Z_HelloContainer"
            run.mkdir()
            own = record(id=run.name, metrics={"test": {"test/loss": number / RUNS}})
            (run / "run.json").write_text(json.dumps(own))
        command = [innereye_run(), "ls", str(outputs), "--where", "test/loss<0.3", "--sort", "test/loss"]
        seconds_of(command, cwd=outputs)  # builds the index
        ours = [seconds_of(command, cwd=outputs) for _ in range(ROUNDS)]
    what = f"`ls --where --sort` of {RUNS:,} runs, the second time"
    return [
        Row(what=what, other="the second that it may take", unit="s", ours=ours, theirs=[1.0] * ROUNDS, target="< 1.00")
    ]
