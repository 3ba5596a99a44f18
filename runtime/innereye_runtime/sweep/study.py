"""A sweep or a cross-validation from start to end: its folder made or opened again, its trials run, results written."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.report.sweep_page import write_sweep_report
from innereye_runtime.run.paths import create_run_folder
from innereye_runtime.run.process_id import current_process, is_alive
from innereye_runtime.run.record import utc_now
from innereye_runtime.sweep.engine import Engine
from innereye_runtime.sweep.importance import importance_of
from innereye_runtime.sweep.predictions import join_or_fail
from innereye_runtime.sweep.record import RecordWriter, SweepRecord, TrialState
from innereye_runtime.sweep.results import read_record, write_metrics
from innereye_runtime.sweep.trials import folds_of, number_of_trials


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    folder: Path
    record: SweepRecord
    metrics: dict[str, Any]

    def describe(self) -> dict[str, Any]:
        """The result as `--json` prints it: of the best trial, or the mean over folds."""
        best = self.record.best or {}
        runs = [read_record(self.folder / run) for run in best.get("runs", ())]
        weights = runs[0].get("checkpoints", {}).get("last", {}).get("weights_sha256") if len(runs) == 1 else None
        metrics = self.metrics.get("mean") or (runs[0].get("metrics", {}) if len(runs) == 1 else {})
        return {
            "run": str(self.folder),
            "state": self.record.state,
            "exit_code": self.record.exit_code,
            "metrics": metrics,
            "weights_sha256": weights,
            "best": best or None,
            **({"ensemble": self.metrics["ensemble"]["metrics"]} if "ensemble" in self.metrics else {}),
            "trials": {state: count for state in get_args(TrialState) if (count := self.record.count(state))},
        }


def start_study(job: Job, *, cold: bool = False) -> StudyResult:
    """The result of a new sweep, when it has ended.

    Raises:
        PreflightError: its folder can't be made, or Optuna is needed and not installed.
    """
    manifest = job.manifest
    folder = create_run_folder(job.outputs_folder, manifest.name, datetime.now(UTC)).root
    sweep = manifest.sweep
    record = SweepRecord(
        id=folder.name,
        model=job.model_name,
        target=manifest.compute.target,
        code_root=str(job.code_root),
        import_root=_import_root(job),
        smoke=job.smoke,
        started=utc_now(),
        sampling_algorithm=sweep.sampling_algorithm.type if sweep else None,
        splits=manifest.cross_validation.splits if manifest.cross_validation else None,
        primary_metric=sweep.objective.primary_metric if sweep else "",
        goal=sweep.objective.goal if sweep else "minimize",
        total=number_of_trials(manifest) * folds_of(manifest),
    )
    (folder / "trials").mkdir()
    (folder / "manifest.yaml").write_text(dump(manifest), encoding="utf-8")
    return _run(folder, job, record, cold=cold)


def resume_study(folder: Path, job: Job, *, cold: bool = False) -> StudyResult:
    """The result of a sweep that was stopped or killed, when it has ended: trials that ended are left as they are.

    Raises:
        UsageError: it is still running, or it is not a sweep's folder.
    """
    record = SweepRecord.read(folder)
    if record.state == "running" and is_alive(record.launcher):
        raise UsageError(f"{folder} is running", hint=f"innereye-run ls {folder} shows its trials")
    return _run(folder, job, record, cold=cold)


def _run(folder: Path, job: Job, record: SweepRecord, *, cold: bool) -> StudyResult:
    record.state, record.reason, record.exit_code, record.ended = "running", "", None, None
    record.launcher = current_process()
    RecordWriter(folder, record).write(now=True)
    Engine(folder, replace(job, run_folder=None), record, cold=cold).run()
    predictions = join_or_fail(folder, record, job.manifest)
    importance = importance_of(job.manifest.sweep, record)
    metrics = write_metrics(folder, record, predictions=predictions, importance=importance)
    write_sweep_report(folder, record.to_data(), metrics)
    return StudyResult(folder=folder, record=record, metrics=metrics)


def _import_root(job: Job) -> str:
    """The folder of the class's top package; '' where a trial's own manifest leads there too."""
    module, file = job.location.module, job.location.file
    root = file.parents[module.count(".") + (file.name == "__init__.py")]
    own = module.startswith("innereye_runtime.")
    return "" if own or root == job.code_root or str(root) in sys.path else str(root)
