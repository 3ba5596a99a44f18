"""A job in a workspace, by its URI, as a run that the commands ask for its status, log, end and run folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.model import AzureMLSettings
from innereye_runtime.targets.azureml import runs
from innereye_runtime.targets.azureml.exit_code import exit_code_of
from innereye_runtime.targets.azureml.history import get_failure_message
from innereye_runtime.targets.azureml.job_uri import JobUri, is_job_uri
from innereye_runtime.targets.azureml.session import TERMINAL_STATES, Session, state_of
from innereye_runtime.targets.azureml.settings import find_workspace
from innereye_runtime.targets.base import DownloadResult, RunStatus, StopResult, Write

_POLL_SECONDS = 10.0


class AzureMLRun:
    """The service is asked when something is wanted of the job."""

    has_two_streams = False

    def __init__(self, uri: JobUri) -> None:
        self._uri = uri
        self._session = runs.session_of(uri)

    def status(self) -> Mapping[str, Any]:
        return runs.status_of(self._session, self._uri).describe()

    def logs(self, write: Write, *, follow: bool) -> None:
        """Raises `DetachedError` where a signal ended the following."""
        runs.read_log(self._session, self._uri, lambda piece: write(1, piece), follows=follow)

    def stop(self) -> Sequence[StopResult]:
        state = runs.stop(self._session, self._uri)
        run = str(self._uri)
        return [StopResult(run=run, summary=state, details={"state": state})]

    def wait(self) -> int:
        while (state := state_of(self._session.job(self._uri.job))) not in TERMINAL_STATES:
            time.sleep(_POLL_SECONDS)
        failure = get_failure_message(self._session, self._uri.job) if state == "Failed" else ""
        return exit_code_of(state, Path("outputs") / runs.run_name(self._session, self._uri), failure)

    def download(self, outputs: Path) -> DownloadResult:
        return runs.download(self._session, self._uri, outputs)


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
