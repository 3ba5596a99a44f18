"""The trials of a sweep as tasks of arrays, and its ensemble as a job: submitted, found again, asked for their end,
stopped.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from innereye_runtime.data.datasets import preflight
from innereye_runtime.errors import PreflightError
from innereye_runtime.job.ranks import VARIABLES
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.loading import load
from innereye_runtime.manifest.model import Manifest, Retries
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import count_attempts, recorded_exit_code
from innereye_runtime.sweep.ensemble import NAME as ENSEMBLE
from innereye_runtime.targets.slurm import commands
from innereye_runtime.targets.slurm.commands import SlurmJob, trial_folder
from innereye_runtime.targets.slurm.plan import SlurmPlan, expression_of, limit_of, plan_for
from innereye_runtime.targets.slurm.runs import finish
from innereye_runtime.targets.supervision import GRACE_SECONDS, RetryBudget, report, secret_values

_ASK_SECONDS = (1.0, 10.0)
"""Between two questions to the controller: at first, and when nothing has changed for a minute."""


class Array:
    """What the controller says of the tasks of an array, or of one job, asked for all at once and not too often."""

    def __init__(self, id: str) -> None:
        self.id = id
        self._tasks: Mapping[int | None, SlurmJob] = {}
        self._others_cancelled = False
        self._asked: float | None = None
        self._changed = time.monotonic()

    def task(self, number: int | None) -> tuple[SlurmJob | None, bool]:
        """The task, None where the controller does not know it any more; and whether it may have been cancelled then.

        Raises:
            PreflightError: the controller has not answered yet.
        """
        now = time.monotonic()
        often = _ASK_SECONDS[0] if now - self._changed < 60 else _ASK_SECONDS[1]
        if self._asked is None or now - self._asked >= often:
            known, self._asked = self._asked is not None, now
            try:
                tasks, self._others_cancelled = commands.tasks_of(self.id)
            except PreflightError:  # it is restarted, or busy: the tasks do not depend on it
                if not known:
                    self._asked = None
                    raise
            else:
                if tasks != self._tasks:
                    self._tasks, self._changed = tasks, now
        return self._tasks.get(number), self._others_cancelled

    def ask_again(self) -> None:
        """Something has changed: the next answer is a new one."""
        self._changed = time.monotonic()
        self._asked = self._changed - _ASK_SECONDS[1]


class SlurmTrial:
    """A task of an array, or a job of its own, which has no number."""

    def __init__(
        self, array: Array, number: int | None, paths: RunPaths, retries: Retries, *, is_adopted: bool
    ) -> None:
        self.array = array
        self.is_adopted = is_adopted
        self.asked_to_stop = False
        self.is_running = False
        self._number = number
        self._paths = paths
        self._budget = RetryBudget(retries)
        self._earlier = 0 if is_adopted else count_attempts(paths)

    @property
    def identity(self) -> str:
        return self.array.id if self._number is None else f"{self.array.id}_{self._number}"

    def exit_code(self) -> int | None:
        try:
            job, was_cancelled = self.array.task(self._number)
        except PreflightError:
            return None
        self.is_running = job is not None and job.state not in ("PENDING", "REQUEUED")
        if job is not None and job.is_active:
            return None
        exit_code = self._finish(job, was_cancelled=was_cancelled)
        if self.asked_to_stop or job is None or job.is_stopped or not self._budget.take(exit_code):
            return exit_code
        try:
            commands.requeue(self.identity)
        except PreflightError:
            return exit_code
        self._earlier = count_attempts(self._paths)
        self.array.ask_again()
        report(f"trial {self._paths.root.name}: starting attempt {self._earlier + 1}, as compute.retries has it")
        return None

    def _finish(self, job: SlurmJob | None, *, was_cancelled: bool) -> int:
        """The exit code of a task that is over. One that never began leaves no record: nothing was attempted."""
        if job is None and (recorded := recorded_exit_code(self._paths, earlier=self._earlier)) is not None:
            return recorded
        if (job is None and (was_cancelled or self.asked_to_stop)) or (
            job is not None and job.state == "CANCELLED" and not self._paths.run_json.exists()
        ):
            return 128 + signal.SIGTERM
        if job is None and self.is_adopted:
            return 128 + signal.SIGKILL  # nothing is known of its end
        return finish(self._paths, job, earlier=self._earlier)

    def send(self, signum: int) -> None:
        again, self.asked_to_stop = self.asked_to_stop, True
        commands.cancel(self.identity, signal="TERM" if self.is_running and not again else None)
        self.array.ask_again()


class SlurmTrials:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._retries: Retries | None = None
        self._arrays: dict[str, Array] = {}
        self._trials: list[SlurmTrial] = []
        self._left_over: Mapping[str, SlurmJob] | None = None

    def limit(self, manifest: Manifest) -> int | None:
        return limit_of(manifest)

    def submit(
        self, job: Job, names: Sequence[str], *, limit: int | None, environment: Mapping[str, str]
    ) -> Sequence[SlurmTrial]:
        numbers = sorted(map(int, names))
        plan = self._plan(job)
        script = replace(plan, tasks=expression_of(numbers, limit=limit)).script(self._folder)
        try:
            id = _submit(script, environment)
        except PreflightError as error:
            if "Invalid job array specification" not in str(error):
                raise
            raise PreflightError(
                f"{error}: the cluster takes no array with task {numbers[-1]}",
                hint="scontrol show config shows MaxArraySize; write a smaller sweep.limits.max_total_trials",
            ) from error
        report(f"Slurm job {id}, an array of {len(numbers)}")
        retries = plan.manifest.compute.retries
        return [self._run(id, number, retries, is_adopted=False) for number in numbers]

    def submit_run(self, job: Job, folder: Path, *, environment: Mapping[str, str]) -> SlurmTrial:
        plan = self._plan(job).of_run(folder)
        id = _submit(plan.script(folder, log=self._folder / "logs" / f"{folder.name}.log"), environment)
        report(f"Slurm job {id}, the {folder.name}")
        return self._run(id, None, plan.manifest.compute.retries, is_adopted=False)

    def _plan(self, job: Job) -> SlurmPlan:
        """The plan of the sweep, when what is checked before a submission was found."""
        plan = plan_for(job)
        secret_values(plan.manifest.secrets, os.environ)
        space = plan.manifest.sweep.search_space if plan.manifest.sweep else {}
        if not any(name.startswith("dataset.") for name in space):  # else a trial that finds none fails alone
            preflight(plan.datasets)
        (self._folder / "logs").mkdir(exist_ok=True)
        return plan

    def adopt(self, name: str, identity: str | None) -> SlurmTrial | None:
        if self._left_over is None:
            self._left_over = {
                folder.name: one for job in self._jobs() for one in job.each() if (folder := one.run_folder) is not None
            }
        active = self._left_over.get(name)
        number = None if name == ENSEMBLE else int(name)
        id, _, task = (active.id if active else identity or "").partition("_")
        known = id if number is None else task
        return self._run(id, number, self._manifest_retries(), is_adopted=True) if known else None

    def _manifest_retries(self) -> Retries:
        if self._retries is None:
            manifest = load(self._folder / "manifest.yaml", target="slurm").manifest
            self._retries = manifest.compute.retries if manifest else Retries()
        return self._retries

    def _run(self, id: str, number: int | None, retries: Retries, *, is_adopted: bool) -> SlurmTrial:
        """The trial of that number; without one, the ensemble."""
        array = self._arrays.setdefault(id, Array(id))
        paths = RunPaths(self._folder / ENSEMBLE if number is None else trial_folder(self._folder, number))
        trial = SlurmTrial(array, number, paths, retries, is_adopted=is_adopted)
        self._trials.append(trial)
        return trial

    def send(self, signum: int) -> None:
        again = all(trial.asked_to_stop for trial in self._trials)
        for trial in self._trials:
            trial.asked_to_stop = True
        _end(sorted(self._arrays), at_once=again)
        for array in self._arrays.values():
            array.ask_again()

    def stop(self) -> bool:
        jobs = self._jobs()
        _end(_ids(jobs), at_once=False)
        deadline = time.monotonic() + GRACE_SECONDS
        while self.is_active() and time.monotonic() < deadline:
            time.sleep(0.5)
        _end(_ids(self._jobs()), at_once=True)
        return bool(jobs)

    def is_active(self) -> bool:
        return bool(self._jobs())

    def _jobs(self) -> Sequence[SlurmJob]:
        """The arrays of this sweep, and its ensemble, that are queued or running."""
        here = os.path.realpath(self._folder)
        found = [job for job in commands.jobs() if job.is_active and job.folder is not None]
        return [job for job in found if _sweep_of(job) == here]


def _sweep_of(job: SlurmJob) -> str | None:
    """The folder of the sweep that a job of ours belongs to, without links; None where it is a run of its own."""
    assert job.folder is not None
    if job.array:
        return os.path.realpath(job.folder)
    return os.path.realpath(job.folder.parent) if job.folder.name == ENSEMBLE else None


def _ids(jobs: Sequence[SlurmJob]) -> Sequence[str]:
    return sorted({job.array or job.id for job in jobs})


def _submit(script: str, environment: Mapping[str, str]) -> str:
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return commands.submit(script, {**inherited, **environment})


def _end(ids: Sequence[str], *, at_once: bool) -> None:
    """Asks every task that runs to save and end, after those in the queue are taken out of it."""
    if not ids:
        return
    if at_once:
        commands.cancel(*ids)
        return
    commands.cancel(*ids, state="PENDING")
    commands.cancel(*ids, signal="TERM")
