"""A run in a few words, as `innereye-run ls` lists it: read from run.json, or from sweep.json for many runs in one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

RUN_FILES = ("run.json", "sweep.json")
"""What makes a folder one of a run, or of a sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    name: str
    """Of its folder."""
    state: str
    model: str = ""
    target: str = ""
    started: str = ""
    """UTC, as run.json has it; '' where it is not known."""
    seconds: float | None = None
    """How long its attempts took together; None while one runs, or where it is not known."""
    exit_code: int | None = None
    reason: str = ""
    monitor: str = ""
    """The metric that chose the best checkpoint."""
    best: float | None = None
    """Its value."""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Those of the container that do not have their default."""
    tags: Mapping[str, str] = field(default_factory=dict)
    trials: Mapping[str, int] | None = None
    """Of a sweep: how many of its trials are in each state."""

    @classmethod
    def from_data(cls, values: Mapping[str, Any]) -> Self:
        """The summary that `to_data` wrote."""
        return cls(**values)

    def to_data(self) -> dict[str, Any]:
        return asdict(self)

    def value(self, key: str) -> Any:
        """A field, a metric, a parameter or a tag by its name; None where the run has none of that name."""
        if key in ("name", "state", "model", "target", "started", "exit_code", "reason"):
            return getattr(self, key)
        if key in ("duration", "seconds"):
            return self.seconds
        for values in (self.metrics, self.parameters, self.tags):
            if key in values:
                return values[key]
        return None

    def keys(self) -> set[str]:
        """All that `value` has an answer to."""
        fields = {"name", "state", "model", "target", "started", "duration", "exit_code", "reason"}
        return fields | {*self.metrics, *self.parameters, *self.tags}


def summarize(folder: Path) -> RunSummary | None:
    """The summary of the run or the sweep in `folder`, None where there is none; a file that can't be read gives the
    state `unreadable`.
    """
    for name in RUN_FILES:
        try:
            record = json.loads((folder / name).read_bytes())
            return _of_run(folder, record) if name == "run.json" else _of_sweep(folder, record)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            return RunSummary(name=folder.name, state="unreadable", reason=f"{name}: {error}")
    return None


def _of_run(folder: Path, record: Mapping[str, Any]) -> RunSummary:
    attempts = record["attempts"]
    state, reason = record["state"], record.get("reason", "")
    if state == "completed" and not (folder / "outputs.json").exists():
        state, reason = "incomplete", "outputs.json is missing"
    best = record.get("checkpoints", {}).get("best", {})
    arguments = record.get("arguments", {})
    compute = record.get("manifest", {}).get("compute", {})
    return RunSummary(
        name=folder.name,
        state=state,
        model=record.get("model", ""),
        target=record.get("target", ""),
        started=attempts[0]["started"] if attempts else "",
        seconds=_seconds(attempts),
        exit_code=record.get("exit_code"),
        reason=reason,
        monitor=best.get("monitor") or "",
        best=best.get("value"),
        metrics={name: value for split in record.get("metrics", {}).values() for name, value in split.items()},
        parameters={name: each["value"] for name, each in arguments.items() if each.get("origin") != "default"},
        tags=compute.get("azureml", {}).get("tags", {}),
    )


def _of_sweep(folder: Path, record: Mapping[str, Any]) -> RunSummary:
    counts: dict[str, int] = {}
    for trial in record["trials"]:
        counts[trial["state"]] = counts.get(trial["state"], 0) + 1
    best = record.get("best") or {}
    return RunSummary(
        name=folder.name,
        state=record["state"],
        model=record.get("model", ""),
        target=record.get("target", ""),
        started=record.get("started", ""),
        seconds=_seconds([record]),
        exit_code=record.get("exit_code"),
        monitor=record.get("primary_metric") or "",
        best=best.get("value"),
        trials=counts,
    )


def _seconds(attempts: list[Mapping[str, Any]]) -> float | None:
    total = 0.0
    for attempt in attempts:
        if not attempt.get("ended"):
            if attempt.get("state") == "running":
                return None
            continue  # it was killed, and nobody knows when
        total += (_time(attempt["ended"]) - _time(attempt["started"])).total_seconds()
    return total


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
