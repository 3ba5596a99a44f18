"""Sweeps and folds on the command line: what `run`, `resume` and `plan` do where a manifest asks for several runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.cli.ui.parser import columns
from innereye_runtime.cli.ui.registration import register_model
from innereye_runtime.cli.ui.terminal import CYAN, YELLOW, eprint, log_to_stderr, paint, print_result
from innereye_runtime.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.model import TargetName
    from innereye_runtime.sweep.record import SweepRecord
    from innereye_runtime.sweep.study import StudyResult
    from innereye_runtime.sweep.trials import Trial
    from innereye_runtime.targets.base import Plan


def start_many(job: Job, *, as_json: bool, ended: list[dict[str, Any]] | None = None, cold: bool = False) -> int:
    """The exit code of a sweep or of folds, when all runs have ended and the folder was named on standard output.
    What it came to is added to `ended`.
    """
    from innereye_runtime.sweep.study import start_study

    with log_to_stderr():
        result = start_study(job, cold=cold)
        if ended is not None:
            ended.append(result.describe())
        return _finish(result, as_json=as_json)


def resume_many(folder: Path, *, target: TargetName | None, as_json: bool, cold: bool = False) -> int:
    """As `start_many`, of a sweep that was stopped or killed.

    Raises:
        UsageError: it is on another target, or it is still running.
    """
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.sweep.record import SweepRecord
    from innereye_runtime.sweep.study import resume_study
    from innereye_runtime.targets.base import SweepingTarget
    from innereye_runtime.targets.registry import get_target

    record = SweepRecord.read(folder)
    is_of_service = isinstance(get_target(record.target), SweepingTarget)
    if is_of_service and _lacks_ensemble(folder, record):
        with log_to_stderr():
            return _finish(_ensemble_of(folder, record, target, cold=cold), as_json=as_json)
    if record.state == "completed" and not as_json:
        eprint(f"{folder.name} is complete; there is nothing to resume")
        print_result(str(folder))
        return 0
    if is_of_service:
        raise UsageError(
            f"a sweep on target {record.target} is not resumed: its trials are the service's",
            hint="start the manifest again; innereye-run download of its job completes this folder",
        )
    if target not in (None, record.target):
        raise UsageError(f"the sweep is on target {record.target}", hint="delete --target, or start a new sweep")
    if record.import_root:
        sys.path.append(record.import_root)  # modules that lay beside the manifest
    job = resolve_job(
        folder / "manifest.yaml",
        cwd=Path.cwd(),
        target=record.target,
        smoke=record.smoke,
        root=Path(record.code_root),
    )
    with log_to_stderr():
        return _finish(resume_study(folder, job, cold=cold), as_json=as_json)


def _lacks_ensemble(folder: Path, record: SweepRecord) -> bool:
    """Whether all folds are complete, and an ensemble of them is asked for that has not run to its end."""
    from innereye_runtime.manifest.loading import load
    from innereye_runtime.sweep import ensemble

    manifest = load(folder / "manifest.yaml", target=record.target).manifest
    is_there = record.ensemble is not None and record.ensemble.state == "completed"
    return manifest is not None and not is_there and ensemble.is_due(manifest, replace(record, ensemble=None))


def _ensemble_of(folder: Path, record: SweepRecord, target: TargetName | None, *, cold: bool) -> StudyResult:
    """The result of folds that a service ran and that are all here, when their ensemble has run on this machine.

    Raises:
        UsageError: nothing says where it is to run.
    """
    from innereye_runtime.job.resolve import resolve_job
    from innereye_runtime.sweep.study import resume_study

    if target in (None, record.target):
        raise UsageError(
            f"target {record.target} runs the folds alone, without their ensemble",
            hint=f"innereye-run resume {folder} --target process runs it on this machine",
        )
    root = Path(record.code_root) if record.code_root else None
    job = resolve_job(folder / "manifest.yaml", cwd=Path.cwd(), target=target, smoke=record.smoke, root=root)
    return resume_study(folder, job, cold=cold)


def _finish(result: StudyResult, *, as_json: bool) -> int:
    from innereye_runtime.run.paths import RunPaths, resume_command

    record = result.record
    if record.reason:
        eprint(f"{paint('note:', YELLOW, sys.stderr)} {record.reason}")
    if record.best and not as_json:
        values = " ".join(f"{name}={value}" for name, value in record.best["parameters"].items())
        eprint(f"best: {record.primary_metric} {record.best['value']:.6g} with {values}")
    if record.exit_code in (ExitCode.INTERRUPTED, ExitCode.STOPPED):
        eprint(f"{paint('hint:', CYAN, sys.stderr)} {resume_command(RunPaths(result.folder), Path.cwd())}")
    if record.exit_code == 0 and record.best and len(record.best["runs"]) == 1:
        register_model(result.folder / record.best["runs"][0])
    print_result(json.dumps(result.describe()) if as_json else str(result.folder))
    return record.exit_code or 0


def plan_of_many(job: Job, plan: Plan) -> dict[str, Any]:
    """What would be started, as plain data: the trials, and the plan of the first one, or of all where they are one."""
    from innereye_runtime.sweep import trials

    manifest = job.manifest
    planned = trials.planned(manifest)
    runs = [run for group, values in enumerate(planned or ()) for run in trials.runs_of(manifest, group, values)]
    sweep = manifest.sweep
    return {
        "target": manifest.compute.target,
        "run_folder": f"{job.outputs_folder}/<UTC start>_{manifest.name}",
        "sampling_algorithm": sweep.sampling_algorithm.type if sweep else None,
        "splits": manifest.cross_validation.splits if manifest.cross_validation else None,
        "ensemble": manifest.cross_validation.ensemble if manifest.cross_validation else None,
        "runs": trials.number_of_trials(manifest) * trials.folds_of(manifest),
        "max_concurrent_trials": sweep.limits.max_concurrent_trials if sweep else None,
        "trials": None if planned is None else [_described(run) for run in runs],
        "job": plan.describe(),
    }


def trial_table(plan: Mapping[str, Any]) -> str:
    """The trials of a plan, one a line."""
    trials: Sequence[Mapping[str, Any]] | None = plan["trials"]
    if trials is None:
        return f"{plan['runs']} runs; their parameters depend on the results of those before them"
    names = list(dict.fromkeys(name for trial in trials for name in trial["parameters"]))
    folds = plan["splits"] is not None
    rows = [
        (trial["name"], *([str(trial["fold"])] if folds else []), *(str(trial["parameters"][name]) for name in names))
        for trial in trials
    ]
    return columns([("RUN", *(["FOLD"] if folds else []), *names), *rows])


def _described(run: Trial) -> dict[str, Any]:
    return {"name": run.name, "trial": run.group, "fold": run.fold, "parameters": dict(run.parameters)}
