"""Where the trials of a sweep run: as processes that share this machine, or in the queue of a cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.sweep.ensemble import NAME as ENSEMBLE
from innereye_runtime.sweep.ensemble import manifest_of_run
from innereye_runtime.sweep.record import SweepRecord, TrialRecord
from innereye_runtime.sweep.shares import shares_of
from innereye_runtime.sweep.trials import planned_ahead
from innereye_runtime.sweep.warm_pool import WarmPool
from innereye_runtime.sweep.workers import Worker, adopted_worker, end_strays, start_warm_worker, start_worker
from innereye_runtime.targets.base import QueueingTarget, TrialJob, TrialQueue
from innereye_runtime.targets.registry import get_target


class Runner(Protocol):
    is_parallel: bool
    """Whether several trials run at the same time."""

    def room(self, running: int) -> int | None:
        """How many trials more can be started now; None: any number."""

    def start(self, trials: Sequence[TrialRecord], running: Collection[TrialJob]) -> Mapping[str, TrialJob]:
        """Starts these trials beside those that are `running`, and what each is found by from now on, by its name."""

    def adopt(self, trial: TrialRecord, running: Collection[TrialJob]) -> TrialJob | None:
        """The trial that an earlier process of the sweep started, where it may still run or has left its end."""

    def clear(self, trial: TrialRecord) -> None:
        """Ends what is left of a trial before it is started again."""

    def send(self, signum: int, running: Collection[TrialJob]) -> None:
        """Passes a signal on to all trials."""

    def wait(self, seconds: float) -> None:
        """Returns when a trial may have ended, at the latest after so many seconds."""

    def close(self) -> None: ...


def runner_of(folder: Path, job: Job, record: SweepRecord, *, cold: bool) -> Runner:
    """What runs the trials of the sweep in `folder`. `cold`: each imports PyTorch and all else by itself."""
    target = get_target(job.manifest.compute.target)
    if isinstance(target, QueueingTarget):
        return QueueRunner(folder, job, record, target.queue(folder))
    return LocalRunner(folder, job, record, cold=cold or job.manifest.compute.target != "process")


class QueueRunner:
    """Trials as jobs of a cluster, which gives each its share."""

    def __init__(self, folder: Path, job: Job, record: SweepRecord, queue: TrialQueue) -> None:
        self._folder, self._job, self._record, self._queue = folder, job, record, queue
        self._environment = _import_path(record.import_root)
        self._limit = queue.limit(job.manifest)
        self._submits_all = planned_ahead(job.manifest)
        self.is_parallel = self._limit != 1

    def room(self, running: int) -> int | None:
        # The queue itself holds its first batch back. What comes later is beside that: the limit is over all of them.
        return None if self._limit is None or (running == 0 and self._submits_all) else self._limit - running

    def start(self, trials: Sequence[TrialRecord], running: Collection[TrialJob]) -> Mapping[str, TrialJob]:
        for trial in trials:
            write_manifest(self._folder, trial, manifest_of_run(self._job.manifest, self._folder, self._record, trial))
        names = [trial.name for trial in trials]
        if names == [ENSEMBLE]:
            folder = trial_folder(self._folder, trials[0])
            return {ENSEMBLE: self._queue.submit_run(self._job, folder, environment=self._environment)}
        jobs = self._queue.submit(self._job, names, limit=self._limit, environment=self._environment)
        return dict(zip(names, jobs, strict=True))

    def adopt(self, trial: TrialRecord, running: Collection[TrialJob]) -> TrialJob | None:
        return self._queue.adopt(trial.name, trial.launcher)

    def clear(self, trial: TrialRecord) -> None:
        pass  # what is queued or running was adopted

    def send(self, signum: int, running: Collection[TrialJob]) -> None:
        self._queue.send(signum)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        pass


class LocalRunner:
    """Trials as processes of this machine, each with its share of it; on other targets, each follows a job there."""

    def __init__(self, folder: Path, job: Job, record: SweepRecord, *, cold: bool) -> None:
        self._folder, self._job, self._record = folder, job, record
        self._shares = shares_of(job.manifest, os.environ)
        self._environment = _import_path(record.import_root)
        self._cold = cold
        self._pool: WarmPool | None = None
        self.is_parallel = self._shares.concurrent > 1

    def room(self, running: int) -> int | None:
        return 1 if running < self._shares.concurrent and not self._is_warming_up() else 0

    def start(self, trials: Sequence[TrialRecord], running: Collection[TrialJob]) -> Mapping[str, TrialJob]:
        return {trial.name: self._start(trial, _free_slot(running)) for trial in trials}

    def _start(self, trial: TrialRecord, slot: int) -> Worker:
        manifest = manifest_of_run(self._job.manifest, self._folder, self._record, trial)
        folder = write_manifest(self._folder, trial, self._shares.of_slot(manifest, slot))
        log, root, smoke = self._log(f"{trial.name}.log"), self._job.code_root, self._job.smoke
        if self._pool is not None and self._pool.is_ready:
            warm = start_warm_worker(folder, log, self._pool, code_root=root, smoke=smoke, slot=slot)
            if warm is not None:
                return warm
        target, environment = manifest.compute.target, self._environment
        return start_worker(folder, log, target=target, code_root=root, smoke=smoke, slot=slot, environment=environment)

    def _is_warming_up(self) -> bool:
        """Whether the process that trials start from is still importing; it is started where there is one to come."""
        if self._cold:
            return False
        if self._pool is None:
            environment = {**self._environment, **self._shares.of_slot(self._job.manifest, 0).environment}
            root, log = self._job.code_root, self._log("imports.log")
            self._pool = WarmPool(self._folder / "manifest.yaml", root, log, environment)
        return self._pool.is_importing

    def _log(self, name: str) -> Path:
        logs = self._folder / "logs"
        logs.mkdir(exist_ok=True)
        return logs / name

    def adopt(self, trial: TrialRecord, running: Collection[TrialJob]) -> TrialJob | None:
        if trial.launcher is None or trial.state != "running":
            return None
        return adopted_worker(trial.launcher, trial_folder(self._folder, trial), _free_slot(running))

    def clear(self, trial: TrialRecord) -> None:
        folder = trial_folder(self._folder, trial)
        if folder.is_dir():
            end_strays(folder)

    def send(self, signum: int, running: Collection[TrialJob]) -> None:
        for job in running:
            job.send(signum)

    def wait(self, seconds: float) -> None:
        if self._pool is not None:
            self._pool.wait(seconds)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.close()


def trial_folder(sweep: Path, trial: TrialRecord) -> Path:
    return sweep / trial.name if trial.name == ENSEMBLE else sweep / "trials" / trial.name


def write_manifest(sweep: Path, trial: TrialRecord, manifest: Manifest) -> Path:
    """The run folder of a trial, in which its manifest is now."""
    folder = trial_folder(sweep, trial)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.yaml").write_text(dump(manifest), encoding="utf-8")
    return folder


def _free_slot(running: Collection[TrialJob]) -> int:
    taken = {job.slot for job in running if isinstance(job, Worker)}
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)


def _import_path(root: str) -> dict[str, str]:
    """What lets a trial find the modules that lay beside the manifest: its own manifest lies elsewhere."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))} if root else {}
