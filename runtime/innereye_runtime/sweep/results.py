"""What came of trials: the primary metric of each, the best one, mean and deviation over folds; metrics.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from innereye_runtime.errors import ExitCode
from innereye_runtime.run.folder import read_columns
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import write_json
from innereye_runtime.sweep.record import SweepRecord, TrialRecord

Metrics = Mapping[str, Mapping[str, float | None]]
"""By split and name, as in run.json."""


def read_record(folder: Path) -> Mapping[str, Any]:
    """run.json of a trial; nothing where it has none that can be read."""
    try:
        record = json.loads(RunPaths(folder).run_json.read_bytes())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def history(folder: Path, metric: str) -> list[float]:
    """The values of the metric so far, one for each time that it was logged."""
    column = read_columns(RunPaths(folder).metrics_csv).get(metric)
    return list(column.values) if column is not None else []


def primary_value(folder: Path, metric: str, goal: str) -> tuple[float | None, str]:
    """The metric's value of a trial that is complete, and what is wrong where there is none.

    It is that of the best checkpoint where that one was chosen by this metric, else the final one.
    """
    record = read_record(folder)
    best = record.get("checkpoints", {}).get("best", {})
    if best.get("monitor") == metric and best.get("mode") == goal[:3]:
        value = best.get("value")
        return value, "" if _is_finite(value) else f"{metric} is not finite"
    final = {name: value for split in record.get("metrics", {}).values() for name, value in split.items()}
    values = [final[metric]] if metric in final else history(folder, metric)
    if not values:
        names = ", ".join(sorted({*final, *read_columns(RunPaths(folder).metrics_csv)}))
        return None, f"the primary metric '{metric}' was not logged; logged were: {names or 'no metrics'}"
    value = values[-1]
    return (value, "") if _is_finite(value) else (None, f"{metric} is not finite")


def value_of(trials: Sequence[TrialRecord]) -> float | None:
    """The primary metric of a trial over its folds; None where not each of them has one."""
    values = [trial.value for trial in trials if trial.state == "completed" and trial.value is not None]
    return fmean(values) if values and len(values) == len(trials) else None


def best_of(record: SweepRecord) -> dict[str, Any] | None:
    """The trial with the best primary metric, the first of several; None where none has any."""
    valued = [(value, trials) for trials in record.groups() if (value := value_of(trials)) is not None]
    if not valued:
        return None
    choose = min if record.goal == "minimize" else max
    value, trials = choose(valued, key=lambda one: one[0])
    return {
        "trial": trials[0].group,
        "runs": [f"trials/{trial.name}" for trial in trials],
        "parameters": dict(trials[0].parameters),
        "value": value,
    }


def verdict_on(record: SweepRecord) -> tuple[int, str]:
    """The exit code of a sweep whose runs have all ended, and the reason: one fails where all of its trials do, folds
    where one of them does."""
    failed, completed = record.count("failed"), record.count("completed")
    if failed and (not completed or record.sampling_algorithm is None):
        first = next(trial for trial in record.trials if trial.state == "failed")
        reason = f"{failed} of {len(record.trials)} runs failed: {first.name}: {first.reason}"
        return first.exit_code or int(ExitCode.OUTPUTS), reason
    return int(ExitCode.DONE), f"{failed} of {len(record.trials)} trials failed" if failed else ""


def write_metrics(folder: Path, record: SweepRecord, **parts: Mapping[str, Any] | None) -> dict[str, Any]:
    """metrics.json of the sweep, written, as `metrics_of` makes it of the same arguments."""
    data = metrics_of(folder, record, **parts)
    write_json(folder / "metrics.json", data)
    return data


def metrics_of(
    folder: Path,
    record: SweepRecord,
    *,
    predictions: Mapping[str, Any] | None = None,
    importance: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The metrics of each run; over folds, their mean and deviation, those of the ensemble, and what the joined
    `predictions` have; of a search, the `importance` of its parameters.
    """
    metrics = {trial.name: read_record(folder / "trials" / trial.name).get("metrics", {}) for trial in record.trials}
    runs = {
        trial.name: {
            "trial": trial.group,
            "fold": trial.fold,
            "parameters": dict(trial.parameters),
            "state": trial.state,
            "metrics": metrics[trial.name],
        }
        for trial in record.trials
    }
    data: dict[str, Any] = {"trials": runs}
    if record.splits is not None:
        over_folds = [
            {
                "trial": trials[0].group,
                "parameters": dict(trials[0].parameters),
                **summary([metrics[trial.name] for trial in trials if trial.state == "completed"]),
            }
            for trials in record.groups()
        ]
        if record.sampling_algorithm is None:
            data |= {key: over_folds[0][key] for key in ("folds", "mean", "deviation")} if over_folds else {}
        else:
            data["over_folds"] = over_folds
    if (run := record.ensemble) is not None:
        own = read_record(folder / run.name)
        average = own.get("arguments", {}).get("ensemble_average", {}).get("value")
        metrics_of_run = own.get("metrics", {})
        data["ensemble"] = {"run": run.name, "trial": run.group, "state": run.state, "average": average}
        data["ensemble"]["metrics"] = {split: values for split, values in metrics_of_run.items() if values}
    if predictions is not None:
        data["predictions"] = predictions
    if importance is not None:
        data["importance"] = importance
    return data


def summary(runs: Sequence[Metrics]) -> dict[str, Any]:
    """The number of folds, and of each metric that all of them have the mean and the sample standard deviation."""
    mean: dict[str, dict[str, float | None]] = {}
    deviation: dict[str, dict[str, float | None]] = {}
    for split in dict.fromkeys(split for run in runs for split in run):
        for name in dict.fromkeys(name for run in runs for name in run.get(split, {})):
            values = [run.get(split, {}).get(name) for run in runs]
            numbers = [value for value in values if value is not None and _is_finite(value)]
            whole = len(numbers) == len(runs)
            mean.setdefault(split, {})[name] = fmean(numbers) if whole else None
            deviation.setdefault(split, {})[name] = stdev(numbers) if whole and len(numbers) > 1 else None
    return {"folds": len(runs), "mean": mean, "deviation": deviation}


def _is_finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
