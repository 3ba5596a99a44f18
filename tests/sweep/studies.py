"""Sweeps whose trials are `trial_process.py`, for tests of what a sweep does around its trials."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.sweep import workers
from innereye_runtime.sweep.engine import Engine
from innereye_runtime.sweep.record import SweepRecord
from innereye_runtime.sweep.trials import folds_of, number_of_trials

TRIAL = Path(__file__).with_name("trial_process.py")
CONTAINER = """
import param
from innereye_runtime import LightningContainer
class C(LightningContainer):
    x = param.Number(0.0, doc="x")
    n = param.Integer(1, bounds=(1, 9), doc="n")
    def create_model(self): ...
    def get_data_module(self): ...
"""


def job_of(folder: Path, sweep: str, *more: str) -> Job:
    """The job of a manifest with that `sweep`, a YAML mapping in braces."""
    (folder / "pyproject.toml").touch()
    (folder / "c.py").write_text(CONTAINER)
    path = folder / "m.yaml"
    lines = ["schema: 1", "name: s", "container: {class: 'c:C'}", f"sweep: {sweep}" if sweep else "", *more]
    path.write_text("\n".join(lines) + "\n")
    return resolve_job(path, cwd=folder)


def record_of(job: Job, folder: Path) -> SweepRecord:
    sweep = job.manifest.sweep
    return SweepRecord(
        id=folder.name,
        model="C",
        target="process",
        code_root=str(job.code_root),
        started="2026-11-24T10:15:30Z",
        sampling_algorithm=sweep.sampling_algorithm.type if sweep else None,
        splits=job.manifest.cross_validation.splits if job.manifest.cross_validation else None,
        primary_metric=sweep.objective.primary_metric if sweep else "",
        goal=sweep.objective.goal if sweep else "minimize",
        total=number_of_trials(job.manifest) * folds_of(job.manifest),
    )


def use_trial_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def argv_of(folder: Path, **rest: Any) -> list[str]:
        return [sys.executable, "-S", "-E", str(TRIAL), str(folder)]

    monkeypatch.setattr(workers, "argv_of", argv_of)


def run(job: Job, folder: Path, record: SweepRecord | None = None) -> SweepRecord:
    """The record of the sweep in `folder` after it was run, or run on."""
    folder.mkdir(exist_ok=True)
    record = record or record_of(job, folder)
    Engine(folder, job, record).run()
    return SweepRecord.read(folder)


def starts(folder: Path) -> list[str]:
    """The name of each trial that was started, as often as it was."""
    return (folder / "starts").read_text().split()
