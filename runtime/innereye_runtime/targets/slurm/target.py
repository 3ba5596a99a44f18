"""The Slurm target: a batch job, followed from here; its run folder is where every node and this machine see it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from innereye_runtime.data.datasets import preflight
from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job.datasets import datasets_of
from innereye_runtime.job.ranks import VARIABLES
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.run.paths import RunPaths, create_run_folder
from innereye_runtime.run.record import count_attempts
from innereye_runtime.targets.base import RunHandle, RunStatus, StopResult
from innereye_runtime.targets.preflight.result import CheckResult
from innereye_runtime.targets.slurm import commands
from innereye_runtime.targets.slurm.commands import SlurmJob
from innereye_runtime.targets.slurm.plan import SlurmPlan, log_of, plan_for
from innereye_runtime.targets.slurm.runs import SlurmRun, finish, is_at, job_of, name_of, status_of
from innereye_runtime.targets.slurm.trials import SlurmTrials
from innereye_runtime.targets.supervision import (
    RetryBudget,
    StopRequest,
    report_retry,
    secret_values,
    supervise,
    write_all,
)

_LOG_SECONDS = 0.5
_ASK_SECONDS = (1.0, 10.0)
"""Between two questions to the controller: at first, and when the job has run for a minute."""


class SlurmTarget:
    is_local = False
    copies_outputs = True

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        from innereye_runtime.targets.preflight import checks_of

        # What a node has can't be looked at from here: its GPUs and its memory are for Slurm to find.
        own = {"gpu", "shared_memory", "shared memory"}
        found = checks_of("slurm", manifest, outputs, datasets_of(job) if job else ())
        return [(name, result) for name, result in found if name not in own]

    def attach(self, reference: str) -> RunHandle | None:
        paths = RunPaths(Path(reference).absolute())
        if paths.run_json.is_file():
            return SlurmRun(paths)
        try:
            jobs = list(commands.jobs())
        except PreflightError:
            return None  # no cluster here
        for job in jobs:
            named = (job.array, name_of(job), job.folder.name) if job.array and job.folder else ()
            if job.folder and reference in named and len(job.tasks) != 1:
                from innereye_runtime.sweep.handle import SweepHandle

                return SweepHandle(job.folder)
            for one in job.each():
                if reference in (one.id, name_of(one)) or is_at(one, paths.root):
                    assert one.run_folder is not None
                    return SlurmRun(RunPaths(one.run_folder))
        return None

    def queue(self, folder: Path) -> SlurmTrials:
        return SlurmTrials(folder)

    def list(self) -> Sequence[RunStatus]:
        return [status_of(job) for job in commands.jobs() if job.is_active]

    def clean(self) -> Sequence[StopResult]:
        return ()  # a job needs no launcher

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        return ()

    def plan(self, job: Job) -> SlurmPlan:
        return plan_for(job)

    def submit(self, plan: SlurmPlan, *, stdout: int) -> SlurmHandle:
        secret_values(plan.manifest.secrets, os.environ)
        preflight(plan.datasets)
        folder = plan.request.run_folder
        if folder is not None and (active := job_of(folder)):
            raise UsageError(
                f"the run is still active: job {active.id} is using {folder}",
                hint=f"innereye-run logs -f {folder} shows its log, innereye-run stop {folder} stops it",
            )
        paths = (
            RunPaths(folder) if folder else create_run_folder(plan.outputs_folder, plan.model_name, datetime.now(UTC))
        )
        if plan.text is not None:
            paths.manifest.write_text(plan.text, encoding="utf-8")
            plan = replace(plan, request=replace(plan.request, manifest=paths.manifest))
        log_of(paths.root).parent.mkdir(exist_ok=True)
        return SlurmHandle(plan, paths, stdout=stdout)


class SlurmHandle:
    """A job in Slurm's queue or on its nodes, and its successors where the manifest allows retries. One that Slurm
    preempts is queued again by Slurm, and stays the same job."""

    def __init__(self, plan: SlurmPlan, paths: RunPaths, *, stdout: int) -> None:
        self._plan = plan
        self._paths = paths
        self._stdout = stdout
        self._shown = log_of(paths.root).stat().st_size if log_of(paths.root).is_file() else 0
        self._submit()

    @property
    def run(self) -> str:
        return str(self._paths.root)

    def wait(self) -> int:
        budget = RetryBudget(self._plan.manifest.compute.retries)
        with supervise(self._stop, self._kill, max_duration=None) as request:
            while True:
                job = self._follow(request)
                exit_code = finish(self._paths, job, earlier=self._attempts)
                if request.made or (job is not None and job.is_stopped) or not budget.take(exit_code):
                    return exit_code
                report_retry(self._paths)
                self._submit()

    def _submit(self) -> None:
        self._attempts = count_attempts(self._paths)
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self._job = commands.submit(self._plan.script(self._paths.root), environment)
        with suppress(OSError):
            write_all(2, f"Slurm job {self._job}\n".encode())

    def _follow(self, request: StopRequest) -> SlurmJob | None:
        """The job after its end, with all of its log shown; None where the controller has forgotten it."""
        started, asked = time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            often = _ASK_SECONDS[0] if request.made or now - started < 60 else _ASK_SECONDS[1]
            if now - asked >= often:
                asked = now
                try:
                    job = commands.show(self._job)
                except PreflightError:  # it is restarted, or busy: the job does not depend on it
                    time.sleep(often)
                    continue
                if job is None or not job.is_active:
                    self._show()
                    return job
            self._show()
            time.sleep(_LOG_SECONDS)

    def _show(self) -> None:
        log = log_of(self._paths.root)
        if not log.is_file():
            return
        with log.open("rb") as file, suppress(BrokenPipeError):
            file.seek(self._shown)
            piece = file.read()
            self._shown += len(piece)
            write_all(self._stdout, piece)

    def _stop(self, signum: int) -> None:
        job = commands.show(self._job)
        if job is not None:
            commands.cancel(self._job, signal="TERM" if job.state == "RUNNING" else None)

    def _kill(self) -> None:
        with suppress(PreflightError):
            commands.cancel(self._job)


TARGET = SlurmTarget()
