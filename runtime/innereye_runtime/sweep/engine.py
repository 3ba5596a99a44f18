"""Runs the trials of a sweep: so many at a time, each once, whatever becomes of the others or of this process."""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from innereye_runtime.errors import ExitCode
from innereye_runtime.job.resolve import Job
from innereye_runtime.run.record import state_of, utc_now
from innereye_runtime.sweep import ensemble, trials
from innereye_runtime.sweep.record import FINAL, RecordWriter, SweepRecord, TrialRecord, TrialState
from innereye_runtime.sweep.results import best_of, history, primary_value, read_record, value_of
from innereye_runtime.sweep.runners import runner_of, trial_folder
from innereye_runtime.sweep.sampling import Study
from innereye_runtime.sweep.termination import TerminationPolicy
from innereye_runtime.targets.base import TrialJob
from innereye_runtime.targets.supervision import StopRequest, supervise, timeout_reason

log = logging.getLogger("innereye_runtime")

_POLL_SECONDS = 0.05
_JUDGE_SECONDS = 1.0
_KILLED = 128
"""Exit codes above it are those of a signal."""


class Engine:
    def __init__(self, folder: Path, job: Job, record: SweepRecord, *, cold: bool = True) -> None:
        """`cold`: each trial imports PyTorch and all else by itself."""
        self._folder, self._job, self._record = folder, job, record
        self._manifest = job.manifest
        self._writer = RecordWriter(folder, record)
        self._runner = runner_of(folder, job, record, cold=cold)
        self._jobs: dict[str, TrialJob] = {}
        self._waiting: deque[TrialRecord] = deque()
        self._study: Study | None = None
        sweep = job.manifest.sweep
        self._policy = None
        if sweep is not None and sweep.early_termination is not None:
            self._policy = TerminationPolicy(sweep.early_termination, maximize=record.goal == "maximize")
        self._histories: dict[str, list[float]] = {}
        self._next_judgement = 0.0
        self._timeout = sweep.limits.timeout if sweep else None

    def run(self) -> int:
        """The exit code of the sweep, when each trial has ended or it was asked to stop. The record tells the rest.

        The first SIGINT or SIGTERM is passed on to the trials, which save what they have; a second one kills them.
        """
        self._prepare()
        try:
            return self._run()
        finally:
            self._runner.close()

    def _run(self) -> int:
        with supervise(self._send, lambda: self._send(signal.SIGTERM), max_duration=self._timeout) as request:
            while True:
                self._reap(request)
                if not request.made:
                    self._judge()
                    self._fill(request)
                elif request.signum is not None:  # a trial may have been starting when the signal came
                    late = [job for job in self._jobs.values() if not job.asked_to_stop]
                    for job in late:
                        job.send(request.signum)
                if not self._jobs and (request.made or not self._has_more()):
                    return self._end(request)
                self._runner.wait(_POLL_SECONDS)

    def _prepare(self) -> None:
        """Plans what can be planned, and takes over what an earlier process left running or unfinished."""
        manifest, record = self._manifest, self._record
        planned = trials.planned(manifest)
        if planned is None:
            assert manifest.sweep is not None
            known = len({trial.group for trial in record.trials})
            self._study = Study(manifest.sweep, self._folder, known=known, parallel=self._runner.is_parallel)
        elif not record.trials:
            for group, parameters in enumerate(planned):
                self._add(group, parameters)
        for members in record.groups():
            self._tell(members)
        for trial in record.trials if self._policy else ():
            self._histories[trial.name] = history(self._trial_folder(trial), record.primary_metric)
        if record.ensemble is not None and record.ensemble.state == "failed":
            record.ensemble = None  # the folds are there, and what was wrong may be mended
        unfinished = [trial for trial in self._runs() if trial.state not in FINAL]
        for trial in unfinished:
            job = self._runner.adopt(trial, self._jobs.values())
            if job is not None:
                self._jobs[trial.name], trial.launcher = job, job.identity
            elif _is_complete(self._trial_folder(trial)):
                self._conclude(trial, ExitCode.DONE)
            else:
                self._runner.clear(trial)
                trial.state = "planned"
                self._waiting.append(trial)
        self._writer.write(now=True)

    def _add(self, group: int, parameters: Mapping[str, Any]) -> list[TrialRecord]:
        added = [
            TrialRecord(name=trial.name, group=group, parameters=dict(parameters), fold=trial.fold)
            for trial in trials.runs_of(self._manifest, group, parameters)
        ]
        self._record.trials += added
        return added

    def _has_more(self) -> bool:
        planned = self._study is not None and len(self._record.trials) < self._record.total
        return bool(self._waiting) or planned or self._is_ensemble_next()

    def _is_ensemble_next(self) -> bool:
        return not self._jobs and ensemble.is_due(self._manifest, self._record)

    def _fill(self, request: StopRequest) -> None:
        while self._has_more() and not request.made:
            room = self._runner.room(len(self._jobs))
            if room is not None and room < 1:
                return
            if not self._waiting and self._is_ensemble_next():
                self._record.ensemble = ensemble.new_run(self._record)
                self._waiting.append(self._record.ensemble)
            elif not self._waiting:
                assert self._study is not None
                group = len(self._record.trials) // trials.folds_of(self._manifest)
                self._waiting += self._add(group, self._study.ask(group))
            self._start([self._waiting.popleft() for _ in range(min(room or len(self._waiting), len(self._waiting)))])

    def _start(self, started: list[TrialRecord]) -> None:
        jobs = self._runner.start(started, self._jobs.values())
        self._jobs |= jobs
        for trial in started:
            trial.state = "running" if jobs[trial.name].is_running else "planned"
            trial.launcher = jobs[trial.name].identity
        self._writer.write(now=True)

    def _runs(self) -> list[TrialRecord]:
        return [*self._record.trials, *([self._record.ensemble] if self._record.ensemble else [])]

    def _reap(self, request: StopRequest) -> None:
        for trial in [trial for trial in self._runs() if trial.name in self._jobs]:
            job = self._jobs[trial.name]
            exit_code = job.exit_code()
            if exit_code is None:
                state: TrialState = "running" if job.is_running else "planned"
                if trial.state in ("planned", "running") and trial.state != state:
                    trial.state = state
                    self._writer.write()
                continue
            del self._jobs[trial.name]
            if job.is_adopted and exit_code > _KILLED and trial.state != "terminated" and not request.made:
                trial.state = "planned"  # it was stopped, or it was killed, with the process that started it
                self._runner.clear(trial)
                self._waiting.append(trial)
            else:
                self._conclude(trial, exit_code, stopping=request.made)

    def _conclude(self, trial: TrialRecord, exit_code: int, *, stopping: bool = False) -> None:
        """Writes down how a trial ended."""
        folder, metric = self._trial_folder(trial), self._record.primary_metric
        trial.exit_code, trial.launcher = exit_code, None
        if exit_code == ExitCode.DONE:
            trial.state, trial.reason = "completed", ""
            if metric and trial is not self._record.ensemble:
                trial.value, trial.reason = primary_value(folder, metric, self._record.goal)
                if "was not logged" in trial.reason:
                    trial.state = "failed"
                self._histories[trial.name] = history(folder, metric) if self._policy else []
        elif trial.reason and trial.state == "terminated":
            pass
        elif stopping and exit_code > _KILLED:
            trial.state, trial.reason = "stopped", ""
        else:
            reason = read_record(folder).get("reason") or self._last_error(trial)
            trial.state, trial.reason = "failed", reason or f"ended with exit code {exit_code}"
        self._report(trial)
        if trial is not self._record.ensemble:
            self._tell([one for one in self._record.trials if one.group == trial.group])
            self._record.best = best_of(self._record)
        self._writer.write()

    def _last_error(self, trial: TrialRecord) -> str:
        """What the trial's launcher said last, of one that never began."""
        try:
            lines = (self._folder / "logs" / f"{trial.name}.log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return next((line for line in reversed(lines) if "error" in line), "").removeprefix("error: ")

    def _report(self, trial: TrialRecord) -> None:
        done = sum(one.state in FINAL for one in self._record.trials)
        value = f" {self._record.primary_metric} {trial.value:.6g}" if trial.value is not None else ""
        fold = f" fold {trial.fold}" if trial.fold is not None else ""
        values = " ".join(f"{name}={item}" for name, item in trial.parameters.items())
        reason = f": {trial.reason}" if trial.reason else ""
        log.info(
            "[%d/%d] %s%s %s %s%s%s", done, self._record.total, trial.name, fold, values, trial.state, value, reason
        )

    def _tell(self, group: list[TrialRecord]) -> None:
        if self._study is not None and all(trial.state in FINAL for trial in group):
            self._study.tell(group[0].group, group[0].parameters, value_of(group))

    def _judge(self) -> None:
        if self._policy is None or time.monotonic() < self._next_judgement:
            return
        self._next_judgement = time.monotonic() + _JUDGE_SECONDS
        running = [trial for trial in self._record.trials if trial.name in self._jobs]
        for trial in running:
            self._histories[trial.name] = history(self._trial_folder(trial), self._record.primary_metric)
        losers = self._policy.losers(self._histories, [trial.name for trial in running if trial.state == "running"])
        for trial in running:
            if trial.name in losers:
                trial.state, trial.reason = "terminated", losers[trial.name]
                self._jobs[trial.name].send(signal.SIGTERM)
        if losers:
            self._writer.write(now=True)

    def _send(self, signum: int) -> None:
        self._runner.send(signum, list(self._jobs.values()))

    def _end(self, request: StopRequest) -> int:
        """Closes the record."""
        record = self._record
        if request.signum is not None and (self._has_more() or any(one.state not in FINAL for one in self._runs())):
            record.exit_code = 128 + request.signum
            record.reason = timeout_reason(self._timeout) if request.timed_out else ""
        else:
            record.exit_code, record.reason = ensemble.verdict(self._manifest, record)
        record.state, record.ended = state_of(record.exit_code), utc_now()
        self._writer.write(now=True)
        return record.exit_code

    def _trial_folder(self, trial: TrialRecord) -> Path:
        return trial_folder(self._folder, trial)


def _is_complete(folder: Path) -> bool:
    return (folder / "outputs.json").is_file() and read_record(folder).get("state") == "completed"
