"""A job in a workspace, by its URI, as a run that the commands ask for its status, log, end and run folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.model import AzureMLSettings
from innereye_runtime.targets.azureml import runs
from innereye_runtime.targets.azureml.apart import run_apart
from innereye_runtime.targets.azureml.following import resubmit_in
from innereye_runtime.targets.azureml.job_uri import JobUri, is_job_uri
from innereye_runtime.targets.azureml.log_stream import await_end, log_status
from innereye_runtime.targets.azureml.retries import newest_of, retries_in
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.settings import find_workspace
from innereye_runtime.targets.base import DownloadResult, RunStatus, StopResult, Write
from innereye_runtime.targets.supervision import RetryBudget


class AzureMLRun:
    """The service is asked when something is wanted of the job."""

    has_two_streams = False

    def __init__(self, uri: JobUri) -> None:
        self._uri = uri
        self._session = runs.session_of(uri)

    def status(self) -> Mapping[str, Any]:
        return runs.status_of(self._session, self._newest()).describe()

    def logs(self, write: Write, *, follow: bool) -> None:
        """Raises `DetachedError` where a signal ended the following."""
        runs.read_log(self._session, self._newest(), lambda piece: write(1, piece), follows=follow)

    def stop(self) -> Sequence[StopResult]:
        job = self._newest()
        state = runs.stop(self._session, job)
        return [StopResult(run=str(job), summary=state, details={"state": state})]

    def wait(self) -> int:
        """Submits the job again where it failed and its manifest allows that."""
        job = self._newest()
        while True:
            state = await_end(self._session, job.job)
            exit_code = runs.exit_code_in_store(self._session, job, state)
            budget = RetryBudget(retries_in(self._session.job(job.job).tags))
            if state in ("Completed", "Canceled") or not budget.take(exit_code):
                return exit_code
            log_status(f"{job.job} ended with {exit_code}; the manifest allows another try")
            job = run_apart(resubmit_in, job, budget.left)
            log_status(f"submitted {job}")

    def download(self, outputs: Path) -> DownloadResult:
        return runs.download(self._session, self._newest(), outputs)

    def _newest(self) -> JobUri:
        return newest_of(self._session, self._uri)


def attach(reference: str) -> AzureMLRun | None:
    return AzureMLRun(JobUri.parse(reference)) if is_job_uri(reference) else None


def list_runs() -> list[RunStatus]:
    """The newest runs of the workspace that the environment or a config.json names."""
    settings = find_workspace(AzureMLSettings(), os.environ, Path.cwd())
    jobs = runs.newest_jobs(Session(*settings.complete()))
    return [
        RunStatus(
            run=job.run,
            target="azureml",
            state=job.state,
            reference=job.address,
            since=job.created,
            place=job.address,
            details=job.describe(),
        )
        for job in jobs
    ]
