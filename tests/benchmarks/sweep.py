"""What a sweep costs beside its training alone, a shell loop over a script, and Hydra's joblib launcher.

All train the model of project/bench_sweep.py with the same learning rates, one thread each; the model itself writes
down how long its `fit` took. The shell loop runs a tenth of the trials: each of them costs the same.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.benchmarks.commands import BENCH, innereye_run
from tests.benchmarks.pairs import Row, environment

PROJECT = Path(__file__).with_name("project")
HYDRA = ("hydra-core==1.3.2", "hydra-joblib-launcher==1.2.0")
TRIALS = 200
CORES = 2
MANIFEST = """\
schema: 1
model: {class: "bench_sweep:SweptNet", args: {lr: 1e-3}}
data: {class: "bench_sweep:TestedPoints"}
trainer: {num_epochs: 2}
environment: {OMP_NUM_THREADS: "1"}
sweep:
  search_space: {model.lr: {type: choice, values: VALUES}}
  sampling_algorithm: grid
  objective: {goal: minimize, primary_metric: val/loss}
  limits: {max_total_trials: TRIALS, max_concurrent_trials: CORES}
"""


def trials() -> list[Row]:
    rates = [round(1e-4 * 1.02**number, 9) for number in range(TRIALS)]
    with tempfile.TemporaryDirectory() as name:
        ours, fits = measured(sweep, Path(name) / "ours", rates)
        assert len(fits) == TRIALS, f"{len(fits)} trials were trained"
        hydra, of_hydra = measured(hydra_study, Path(name) / "hydra", rates)
        loop, of_loop = measured(shell_loop, Path(name) / "loop", rates[::10])
    print(f"  fits: {sum(fits):.0f} s, {sum(of_hydra):.0f} s and {sum(of_loop):.0f} s", file=sys.stderr, flush=True)
    what = f"a trial of {TRIALS}, each a second of training"

    def row(other: str, theirs: float, target: str) -> Row:
        return Row(what=what, other=other, unit="s", ours=[ours / TRIALS], theirs=[theirs], target=target)

    return [
        row(f"its `fit` alone, on {CORES} cores", sum(fits) / TRIALS / CORES, "<= 1.25"),
        row("a shell loop over a script", loop / len(of_loop), "<= 0.33"),
        row("Hydra's joblib launcher", hydra / TRIALS, "<= 1.00"),
    ]


def measured(
    commands: Callable[[Path, Sequence[float]], list[Sequence[str]]], folder: Path, rates: Sequence[float]
) -> tuple[float, list[float]]:
    """The seconds that the commands take, one after the other, and those of each `fit`."""
    shutil.copytree(PROJECT, folder)
    marks = folder / "marks"
    paths = os.pathsep.join((str(folder), str(hydra_packages())))
    variables = {"BENCH_MARKS": str(marks), "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    words = commands(folder, rates)
    started = time.monotonic()
    for command in words:
        subprocess.run(command, cwd=folder, env=environment() | variables, check=True, capture_output=True)
    seconds = time.monotonic() - started
    return seconds, [float(line.split()[1]) for line in marks.read_text().splitlines() if line.startswith("fit ")]


def sweep(folder: Path, rates: Sequence[float]) -> list[Sequence[str]]:
    text = MANIFEST.replace("VALUES", str(list(rates))).replace("TRIALS", str(TRIALS)).replace("CORES", str(CORES))
    (folder / "sweep.yaml").write_text(text)
    return [[innereye_run(), "sweep.yaml"]]


def shell_loop(folder: Path, rates: Sequence[float]) -> list[Sequence[str]]:
    return [[sys.executable, "trial.py", str(rate), f"trial-{number}"] for number, rate in enumerate(rates)]


def hydra_study(folder: Path, rates: Sequence[float]) -> list[Sequence[str]]:
    values = ",".join(map(str, rates))
    launcher = ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={CORES}"]
    return [[sys.executable, "hydra_trials.py", "--multirun", *launcher, f"+lr={values}"]]


def hydra_packages() -> Path:
    """The folder that Hydra is in, after it was installed where it was not yet."""
    folder = BENCH / "hydra"
    if not (folder / "hydra_plugins").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), *HYDRA]
        subprocess.run(pip, check=True, stdout=sys.stderr)
    return folder
