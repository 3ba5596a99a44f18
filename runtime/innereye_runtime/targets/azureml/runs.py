"""Jobs that were submitted some time, by their address: how they stand, their log, their end, their run folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from innereye_runtime.errors import ExitCode, OutputError, UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.exit_code import exit_code_of, has_failure
from innereye_runtime.targets.azureml.history import get_failure_message
from innereye_runtime.targets.azureml.job_file import OUTPUT
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.log_stream import follow, log_status
from innereye_runtime.targets.azureml.session import TERMINAL_STATES, Session, open_session, state_of
from innereye_runtime.targets.azureml.tags import RUN_TAG
from innereye_runtime.targets.azureml.trials import is_sweep, log_of, summary, trials_of
from innereye_runtime.targets.azureml.workspace_api import ServiceJob
from innereye_runtime.targets.base import DownloadResult


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    address: str
    state: str
    """In AzureML's words."""
    experiment: str
    name: str
    created: str
    run: str
    """The run folder's name; '' for a job that innereye-run did not submit."""
    failure: str
    """What the service says of a job that failed."""
    studio: str
    """The page of the job."""
    trials: str = ""
    """Of a sweep, how many are in each state."""

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def session_of(address: JobUri) -> Session:
    return open_session(address.subscription_id, address.resource_group, address.workspace)


def status_of(session: Session, address: JobUri) -> JobStatus:
    """How the job stands.

    Raises:
        PreflightError: there is no such job, or the service can't be asked.
    """
    job = session.job(address.job)
    status = _status(job, address)
    if is_sweep(job):
        status = replace(status, trials=summary(trials_of(session, address.job)))
    return replace(status, failure=get_failure_message(session, address.job)) if status.state == "Failed" else status


def newest_jobs(session: Session, *, most: int = 50) -> list[JobStatus]:
    """The newest jobs of the workspace that innereye-run submitted, without the reasons of those that failed.

    Raises:
        PreflightError: the service can't be asked.
    """

    def listed() -> list[ServiceJob]:
        return list(islice(session.api.jobs(tag=RUN_TAG), most))

    return [_status(job, session.address(job.name)) for job in session.request("listing jobs", listed)]


def _status(job: ServiceJob, address: JobUri) -> JobStatus:
    return JobStatus(
        address=str(address),
        state=state_of(job),
        experiment=job.experiment,
        name=job.display_name,
        created=f"{job.created:%Y-%m-%dT%H:%M:%SZ}" if job.created else "",
        run=job.tags.get(RUN_TAG, ""),
        failure="",
        studio=job.studio,
    )


def read_log(session: Session, address: JobUri, write: Callable[[bytes], None], *, follows: bool) -> None:
    """Passes the log to `write`: what is there or, where it `follows`, until the job is over.

    Raises:
        DetachedError: SIGINT or SIGTERM came while it went on.
        PreflightError: there is no such job, or the service can't be asked.
    """
    log = log_of(session, session.job(address.job))
    if follows:
        follow(session, address.job, log, write=write, tell=log_status)
        return
    for piece in log.read():
        write(piece)


def exit_code_in_store(session: Session, address: JobUri, state: str) -> int:
    """The exit code of a job that ended in `state`, from the record in its datastore; its run folder stays there.

    Raises:
        OutputError: the job is complete, and its run folder is not.
        PreflightError: the service can't be asked.
    """
    from innereye_runtime.targets.azureml.models import register_run
    from innereye_runtime.targets.azureml.transfer import fetch_named

    job = session.job(address.job)
    with TemporaryDirectory(prefix="innereye-runtime-") as temporary:
        folder = Path(temporary) / _folder_name(job)
        if OUTPUT in job.outputs:
            place = _place(session, address.job, OUTPUT, job.outputs[OUTPUT])
            if is_sweep(job):
                from innereye_runtime.targets.azureml.sweeps import sweep_exit_code

                return sweep_exit_code(session, address, place, folder)
            fetch_named(session, place, [RunPaths(folder).run_json.name, RunPaths(folder).outputs_json.name], folder)
        is_unrecorded = state == "Failed" and not has_failure(folder)
        failure = get_failure_message(session, address.job) if is_unrecorded else ""
        try:
            exit_code = exit_code_of(state, folder, failure)
        except OutputError as error:
            raise OutputError(
                f"job {address.job} is complete, and its run folder in the datastore has no outputs.json",
                hint=f"innereye-run logs '{address}' shows what it printed",
            ) from error
        if exit_code == ExitCode.DONE and OUTPUT in job.outputs:
            register_run(session, address.job, place, folder)
        return exit_code


def stop(session: Session, address: JobUri) -> str:
    """The state of the job after it was asked to end; one that is over stays as it is.

    Raises:
        PreflightError: there is no such job, or the service can't be asked.
    """
    from innereye_runtime.targets.azureml.submission import cancel

    if state_of(session.job(address.job)) not in TERMINAL_STATES:
        cancel(session, address.job)
    return state_of(session.job(address.job))


def _folder_name(job: ServiceJob) -> str:
    """The name of the run folder. Anybody who may write to a workspace can set a tag: a path is refused.

    Raises:
        OutputError: the tag is not the name of a folder.
    """
    return _plain(job, job.tags.get(RUN_TAG, job.name))


def _plain(job: ServiceJob, name: str) -> str:
    if name in ("", ".", "..") or not {"/", "\\", "\0"}.isdisjoint(name):
        raise OutputError(
            f"job {job.name}: '{name}' is not the name of a folder", hint="az ml job download downloads its outputs"
        )
    return name


def _place(session: Session, job: str, output: str, uri: str | None) -> BlobPrefix:
    """Where an output lies: where the job says, else where AzureML puts those that have no place of their own."""
    if uri:
        return BlobPrefix.parse(uri)
    store = session.request("looking for the default datastore", session.api.default_datastore)
    return BlobPrefix(datastore=store, path=f"azureml/{job}/{output}")


def download(session: Session, address: JobUri, outputs: Path) -> DownloadResult:
    """The run folder of a job, brought into the folder `outputs`, and its other outputs beside it; checked where it is
    complete.

    Raises:
        OutputError: there is nothing to bring, or it came damaged.
        PreflightError: there is no such job, or the service can't be asked.
        UsageError: a folder of that name is here, and holds another run.
    """
    from innereye_runtime.targets.azureml.models import register_run
    from innereye_runtime.targets.azureml.transfer import download_run, is_empty

    job = session.job(address.job)
    state, name = state_of(job), _folder_name(job)
    folder = outputs / name
    places = {
        output: _place(session, address.job, output, uri)
        for output, uri in job.outputs.items()
        if output != "default"  # what AzureML keeps of the working directory
    }
    if OUTPUT not in places:
        raise OutputError(
            f"job {address.job} has no output '{OUTPUT}': innereye-run did not submit it", hint="az ml job download"
        )
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{folder} is in the way of the run folder", hint="move it away, or name another folder with --to"
        )
    if is_sweep(job):
        from innereye_runtime.targets.azureml.sweeps import download_sweep

        return download_sweep(session, address, places[OUTPUT], folder)
    if is_empty(session, places[OUTPUT]):
        failure = get_failure_message(session, address.job) if state == "Failed" else ""
        reason = f": {failure}" if failure else ""
        raise OutputError(
            f"job {address.job} ({state}) has written nothing{reason}",
            hint=f"innereye-run logs '{address}' shows what it printed"
            if state in TERMINAL_STATES
            else "it has not begun yet: download again later",
        )
    files = 0
    for output, place in places.items():
        target = folder if output == OUTPUT else outputs / _plain(job, f"{name}.{output}")
        files += download_run(session, place, target)
    if state not in TERMINAL_STATES:
        return DownloadResult(folder=folder, files=files, exit_code=None)
    failure = get_failure_message(session, address.job) if state == "Failed" and not has_failure(folder) else ""
    exit_code = exit_code_of(state, folder, failure)
    if exit_code == ExitCode.DONE:
        register_run(session, address.job, places[OUTPUT], folder)
    return DownloadResult(folder=folder, files=files, exit_code=exit_code)
