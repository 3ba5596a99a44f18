"""The folder of a sweep job, made of what its trials wrote."""

from __future__ import annotations

import json
from pathlib import Path

from innereye_runtime.errors import ExitCode, OutputError
from innereye_runtime.manifest.loading import load
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.report.sweep_page import write_sweep_report
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import state_of as run_state_of
from innereye_runtime.sweep import ensemble
from innereye_runtime.sweep.importance import importance_of
from innereye_runtime.sweep.predictions import join_or_fail
from innereye_runtime.sweep.record import RecordWriter, SweepRecord, TrialRecord
from innereye_runtime.sweep.results import best_of, primary_value, read_record, verdict_on, write_metrics
from innereye_runtime.sweep.trials import folds_of, number_of_trials
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.exit_code import exit_code_of, has_failure
from innereye_runtime.targets.azureml.history import get_failure_message
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.log_stream import log_status
from innereye_runtime.targets.azureml.models import register_run
from innereye_runtime.targets.azureml.session import TERMINAL_STATES, Session, state_of
from innereye_runtime.targets.azureml.sweep_job import FOLD, TRIALS, decoded, parameters_in, sweep_fields
from innereye_runtime.targets.azureml.transfer import download_run, fetch_named, is_empty
from innereye_runtime.targets.azureml.trials import AzureTrial, trials_of
from innereye_runtime.targets.azureml.workspace_api import ServiceJob
from innereye_runtime.targets.base import DownloadResult


def download_sweep(session: Session, address: JobUri, place: BlobPrefix, folder: Path) -> DownloadResult:
    """The folder of a sweep, as one that ran here has it: the run folder of each trial, verified where it is complete,
    and sweep.json, metrics.json and report.html over them.

    Raises:
        OutputError: a run folder arrived damaged, or innereye-run did not submit the sweep.
        PreflightError: the service or the datastore can't be reached, or the disk is full here.
    """
    job = session.job(address.job)
    state, manifest = state_of(job), _manifest(session, place, folder)
    record = _record(job, manifest, folder.name)
    files = 0
    started = trials_of(session, address.job)
    for trial in started:
        home, where = folder / TRIALS / trial.name, _place_of(place, trial)
        if not is_empty(session, where):
            files += download_run(session, where, home)
        record.trials.append(_trial(session, trial, home, manifest, is_cancelled=state == "Canceled"))
    _number_groups(record)
    _conclude(session, address.job, state, record)
    if record.exit_code == ExitCode.DONE and ensemble.is_due(manifest, record):
        record.reason = ensemble.to_be_run_here(folder)
        log_status(record.reason)
    RecordWriter(folder, record).write(now=True)
    predictions, importance = join_or_fail(folder, record, manifest), importance_of(manifest.sweep, record)
    metrics = write_metrics(folder, record, predictions=predictions, importance=importance)
    write_sweep_report(folder, record.to_data(), metrics)
    if record.exit_code == ExitCode.DONE and record.best and len(record.best["runs"]) == 1:
        best = next(trial for trial in started if f"{TRIALS}/{trial.name}" in record.best["runs"])
        register_run(session, best.job, _place_of(place, best), folder / TRIALS / best.name)
    return DownloadResult(folder=folder, files=files, exit_code=record.exit_code)


def sweep_exit_code(session: Session, address: JobUri, place: BlobPrefix, temporary: Path) -> int:
    """The exit code of a sweep that is over, from the records of its trials; their run folders stay in the store."""
    state, manifest = state_of(session.job(address.job)), _manifest(session, place, temporary)
    record = _record(session.job(address.job), manifest, temporary.name)
    for trial in trials_of(session, address.job):
        home, where = temporary / TRIALS / trial.name, _place_of(place, trial)
        fetch_named(session, where, [RunPaths(home).run_json.name, RunPaths(home).outputs_json.name], home)
        record.trials.append(_trial(session, trial, home, manifest, is_cancelled=state == "Canceled", values=False))
    _conclude(session, address.job, state, record)
    return int(record.exit_code or ExitCode.DONE)


def _place_of(place: BlobPrefix, trial: AzureTrial) -> BlobPrefix:
    """Where the run folder of a trial is."""
    return BlobPrefix(datastore=place.datastore, path=f"{place.path}/{TRIALS}/{trial.job}")


def _manifest(session: Session, place: BlobPrefix, folder: Path) -> Manifest:
    """That of the sweep, which lies where the trials' run folders are; a copy of it is in `folder`."""
    fetch_named(session, place, ["manifest.yaml"], folder)
    file = folder / "manifest.yaml"
    manifest = load(file, target="azureml").manifest if file.is_file() else None
    if manifest is None:
        raise OutputError(
            "the sweep has no manifest.yaml in its place that this version can read",
            hint="az ml job download downloads the outputs of a job that innereye-run did not submit",
        )
    return manifest


def _record(job: ServiceJob, manifest: Manifest, name: str) -> SweepRecord:
    sweep = manifest.sweep
    return SweepRecord(
        id=name,
        model=job.tags.get("model", manifest.container.class_name),
        target="azureml",
        code_root="",
        started=f"{job.created:%Y-%m-%dT%H:%M:%SZ}" if job.created else "",
        sampling_algorithm=sweep.sampling_algorithm.type if sweep else None,
        splits=manifest.cross_validation.splits if manifest.cross_validation else None,
        primary_metric=sweep.objective.primary_metric if sweep else "",
        goal=sweep.objective.goal if sweep else "minimize",
        total=number_of_trials(manifest) * folds_of(manifest),
    )


def _trial(
    session: Session, trial: AzureTrial, home: Path, manifest: Manifest, *, is_cancelled: bool, values: bool = True
) -> TrialRecord:
    """A trial in the words of sweep.json."""
    fields = sweep_fields(manifest)
    assert fields is not None
    found = read_record(home)
    names = dict(fields.parameters)
    reported = {name: decoded(trial.parameters.get(key)) for name, key in names.items()}
    parameters = parameters_in(found["manifest"], names) if found.get("manifest") else reported
    fold = parameters.pop(FOLD, None) if manifest.cross_validation else None
    one = TrialRecord(name=trial.name, group=trial.number, parameters=parameters, fold=fold)
    if trial.state not in TERMINAL_STATES:
        one.state = "planned" if trial.state in ("NotStarted", "Queued") else "running"
        return one
    failure = "" if trial.state != "Failed" or has_failure(home) else get_failure_message(session, trial.job)
    try:
        one.exit_code = exit_code_of(trial.state, home, failure)
    except OutputError as error:
        one.exit_code, failure = int(error.exit_code), str(error)
    if trial.state == "Canceled":
        one.state = "stopped" if is_cancelled else "terminated"
        one.reason = "" if is_cancelled else "stopped early by Azure Machine Learning"
    elif one.exit_code != ExitCode.DONE:
        one.state = "failed"
        one.reason = str(found.get("reason") or failure or f"ended with exit code {one.exit_code}")
    else:
        one.state = "completed"
        metric = manifest.sweep.objective.primary_metric if manifest.sweep else ""
        if metric and values:
            one.value, one.reason = primary_value(home, metric, manifest.sweep.objective.goal)  # type: ignore[union-attr]
            one.state = "failed" if "was not logged" in one.reason else "completed"
    return one


def _number_groups(record: SweepRecord) -> None:
    """Folds of one trial get one number; the service numbers the runs alone."""
    groups: dict[str, int] = {}
    for trial in record.trials:
        trial.group = groups.setdefault(json.dumps(trial.parameters, sort_keys=True, default=str), len(groups))


def _conclude(session: Session, job: str, state: str, record: SweepRecord) -> None:
    record.best = best_of(record) if record.primary_metric else None
    if state not in TERMINAL_STATES:
        return
    record.exit_code, record.reason = verdict_on(record)
    if state == "Canceled":
        record.exit_code, record.reason = int(ExitCode.STOPPED), ""
    elif state != "Completed" and record.exit_code == ExitCode.DONE:
        record.exit_code = int(ExitCode.USER_CODE)
        record.reason = get_failure_message(session, job) or f"the service says that the sweep is {state}"
    record.state = run_state_of(record.exit_code)
