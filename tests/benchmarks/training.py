"""What the runtime costs a training: until the first step, and at each step, beside a plain Lightning script.

Both train the model of project/bench_model.py on the same data with the same loggers and checkpoints. The model itself
writes the times, on the clock that all processes of a machine share.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.commands import innereye_run
from tests.benchmarks.pairs import Row, environment, paired

PROJECT = Path(__file__).with_name("project")
START_ROUNDS, RATE_ROUNDS = 10, 10
MANIFEST = """\
schema: 1
container:
  class: bench_container:BenchContainer
trainer: {num_epochs: EPOCHS}
outputs: {folder: FOLDER}
"""


def first_step() -> list[Row]:
    def seconds(command: Callable[[Path, int], Sequence[str]]) -> float:
        started = time.monotonic()
        return marks(command, epochs=1, stop_at_first_step=True)["first_step"] - started

    ours, theirs = paired(lambda: seconds(with_runtime), lambda: seconds(plain), rounds=START_ROUNDS)
    return [
        Row(
            what="start to first training step",
            other="plain Lightning script",
            unit="s",
            ours=ours,
            theirs=theirs,
            target="<= 1.05",
        )
    ]


def steps_per_second() -> list[Row]:
    def rate(command: Callable[[Path, int], Sequence[str]]) -> float:
        found = marks(command, epochs=6)
        return found["steps"] / (found["end"] - found["second_epoch"])

    ours, theirs = paired(lambda: rate(with_runtime), lambda: rate(plain), rounds=RATE_ROUNDS)
    return [
        Row(
            what="steps a second", other="plain Lightning script", unit="/s", ours=ours, theirs=theirs, target=">= 0.99"
        )
    ]


def with_runtime(folder: Path, epochs: int) -> Sequence[str]:
    manifest = folder / "manifest.yaml"
    manifest.write_text(MANIFEST.replace("EPOCHS", str(epochs)).replace("FOLDER", str(folder / "outputs")))
    return [innereye_run(), str(manifest)]


def plain(folder: Path, epochs: int) -> Sequence[str]:
    return [sys.executable, str(PROJECT / "plain.py"), str(epochs)]


def marks(
    command: Callable[[Path, int], Sequence[str]], *, epochs: int, stop_at_first_step: bool = False
) -> dict[str, float]:
    """The times that the model wrote in one training, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for source in PROJECT.glob("*.py"):
            (folder / source.name).write_text(source.read_text())
        variables = {"BENCH_MARKS": str(folder / "marks"), "BENCH_STOP": str(int(stop_at_first_step))}
        words = command(folder, epochs)
        subprocess.run(words, cwd=folder, env=environment() | variables, check=True, capture_output=True)
        lines = (folder / "marks").read_text().splitlines()
    return {key: float(value) for key, _, value in (line.partition(" ") for line in lines)}
