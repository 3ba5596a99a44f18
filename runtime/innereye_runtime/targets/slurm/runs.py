"""A run of the Slurm target by its folder: the controller is asked for its job."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.errors import ExitCode, PreflightError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord, record_exit, recorded_exit_code
from innereye_runtime.sweep.ensemble import NAME as ENSEMBLE
from innereye_runtime.targets.base import RunStatus, StopResult
from innereye_runtime.targets.run_folder import FolderRun, stop_result
from innereye_runtime.targets.slurm import commands
from innereye_runtime.targets.slurm.commands import SlurmJob
from innereye_runtime.targets.supervision import GRACE_SECONDS


class SlurmRun(FolderRun):
    def is_active(self) -> bool:
        return job_of(self.paths.root) is not None

    def stop(self) -> Sequence[StopResult]:
        job = job_of(self.paths.root)
        if job is None:
            return [stop_result(self.paths, None)]
        commands.mark_stopped(job)
        commands.cancel(job.id, signal="TERM" if job.state == "RUNNING" else None)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.is_active() and time.monotonic() < deadline:
            time.sleep(0.5)
        if self.is_active():
            commands.cancel(job.id)
        exit_code = RunRecord.read(self.paths).exit_code if self.paths.run_json.is_file() else None
        return [stop_result(self.paths, 143 if exit_code is None else exit_code)]


def job_of(folder: Path) -> SlurmJob | None:
    """The job that is queued or at work for the run in `folder`; None too where there is no Slurm here."""
    try:
        active = (job for job in commands.jobs() if job.is_active)
        return next((one for job in active for one in job.each() if is_at(one, folder)), None)
    except PreflightError:
        return None


def is_at(job: SlurmJob, folder: Path) -> bool:
    """Whether `folder` is the run folder of `job`, by whatever links."""
    return job.run_folder is not None and os.path.realpath(job.run_folder) == os.path.realpath(folder)


def name_of(job: SlurmJob) -> str:
    """The name of a run; that of a trial, or of an ensemble, begins with its sweep's."""
    if job.folder is None:
        return job.id
    if len(job.tasks) == 1:
        return f"{job.folder.name}/trials/{job.tasks[0]:03}"
    return f"{job.folder.parent.name}/{ENSEMBLE}" if job.folder.name == ENSEMBLE else job.folder.name


def finish(paths: RunPaths, job: SlurmJob | None, *, earlier: int) -> int:
    """The exit code of a job that has ended, which is also in run.json afterwards."""
    told = recorded_exit_code(paths, earlier=earlier)
    if told is not None and (told or job is None or job.exit_code == 0):
        return told
    if told == 0 and job is not None and job.exit_code == ExitCode.OUTPUTS and paths.outputs_json.is_file():
        return job.exit_code  # the run is complete, its remote copy is not
    state = job.state if job else "gone"
    exit_code = (job.exit_code if job else 0) or 1
    reason = f"Slurm ended the job: {state}" + (f" ({job.reason})" if job and job.reason not in ("None", "") else "")
    if paths.run_json.exists():
        record_exit(paths, exit_code, reason, earlier=earlier)
    else:
        record = RunRecord(id=paths.root.name, model=paths.root.name.rpartition("_")[2], target="slurm")
        record.begin_attempt(socket.gethostname())
        record.end_attempt("stopped" if exit_code == 143 else "failed", exit_code, reason)
        record.write(paths)
    return exit_code


def status_of(job: SlurmJob) -> RunStatus:
    """A job as `ps` lists it."""
    folder = job.run_folder  # of trials that wait in a queue together, that of their sweep
    waits = f"{job.state} ({job.reason})" if job.reason not in ("None", "") else job.state
    return RunStatus(
        run=name_of(job),
        target="slurm",
        state=waits,
        reference=str(folder),
        place=f"job {job.id}" + (f" on {job.nodes}" if job.nodes else ""),
        details={"run_folder": str(folder), "job": job.id, "nodes": job.nodes},
    )
