"""Runs a sweep job: its trials are command jobs, so many at a time, until all have ended or it is cancelled."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from azureml_emulator.http import utc_now
from azureml_emulator.jobs.early_termination import EarlyTermination
from azureml_emulator.jobs.search_space import draws
from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.sweep_job import SweepJob
from azureml_emulator.state.workspace import Workspace

TICK_SECONDS = 0.2
MOST_TRIALS = 1000


def run_sweep(
    workspace: Workspace, sweep: SweepJob, start: Callable[[CommandJob], None], *, timeout: float | None
) -> None:
    """Returns when the sweep is finished. `start` runs a trial in a thread of its own."""
    algorithm = sweep.properties["samplingAlgorithm"]
    total = min(sweep.limits.get("maxTotalTrials") or MOST_TRIALS, MOST_TRIALS)
    space = sweep.properties["searchSpace"]
    values = itertools.islice(draws(space, algorithm["samplingAlgorithmType"], algorithm.get("seed")), total)
    policy = EarlyTermination(sweep.properties.get("earlyTermination"))
    began, sweep.started = time.monotonic(), utc_now()
    sweep.set_status("Running")
    following: dict[str, Any] | None = next(values, None)
    while following is not None or not all(trial.is_finished for trial in sweep.trials):
        if timeout and time.monotonic() - began > timeout and not sweep.canceled.is_set():
            sweep.cancel()
        if sweep.canceled.is_set():
            following = None
        running = [trial for trial in sweep.trials if not trial.is_finished]
        if following is not None and len(running) < (sweep.limits.get("maxConcurrentTrials") or total):
            with workspace.lock:
                trial = sweep.add_trial(following)
                workspace.jobs[trial.name] = trial
            start(trial)
            following = next(values, None)
            continue
        losers = policy.losers({trial.name: sweep.results(trial) for trial in sweep.trials})
        for trial in running:
            if trial.name in losers and not trial.canceled.is_set():
                trial.cancel()
        time.sleep(TICK_SECONDS)
    _end(sweep)


def _end(sweep: SweepJob) -> None:
    sweep.ended = utc_now()
    if sweep.canceled.is_set():
        sweep.set_status("Canceled")
        return
    if best := sweep.best():
        found = {"best_child_run_id": best[0].name, "score": str(best[1])}
        sweep.properties["properties"] = {**(sweep.properties.get("properties") or {}), **found}
    if all(trial.status == "Failed" for trial in sweep.trials):
        sweep.error = f"all of the {len(sweep.trials)} trials failed"
        sweep.set_status("Failed")
    else:
        sweep.set_status("Completed")
