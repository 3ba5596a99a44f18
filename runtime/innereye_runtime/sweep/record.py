"""sweep.json: the state of each trial of a sweep, rewritten atomically; what a killed sweep is resumed from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from innereye_runtime.errors import UsageError
from innereye_runtime.run.record import State, write_json

FILE = "sweep.json"
TrialState = Literal["planned", "running", "completed", "failed", "terminated", "stopped"]
"""`terminated`: by early termination. `stopped`: with the sweep, and to be resumed with it."""
FINAL: tuple[TrialState, ...] = ("completed", "failed", "terminated")
_SHARE = 20
"""Writing takes at most one of so many parts of the time."""


@dataclass(slots=True, kw_only=True)
class TrialRecord:
    name: str
    """Of its run folder, in `trials/`."""
    group: int
    """The trial that it belongs to, from 0; folds of one trial have one number."""
    parameters: Mapping[str, Any]
    fold: int | None = None
    state: TrialState = "planned"
    value: float | None = None
    """Of the primary metric."""
    exit_code: int | None = None
    reason: str = ""
    launcher: str | None = None
    """The process that runs it, as `process_id` names it."""


@dataclass(slots=True, kw_only=True)
class SweepRecord:
    id: str
    model: str
    target: str
    code_root: str
    import_root: str = ""
    """The folder that the class is imported from, where that is not the code root."""
    smoke: bool = False
    state: State = "running"
    reason: str = ""
    exit_code: int | None = None
    started: str = ""
    ended: str | None = None
    launcher: str = ""
    sampling_algorithm: str | None = None
    """None: there is no search, only folds."""
    splits: int | None = None
    primary_metric: str = ""
    goal: str = "minimize"
    total: int = 1
    """The number of runs that there will be."""
    best: dict[str, Any] | None = None
    """The trial with the best value of the primary metric: its group, its runs, its parameters and the value."""
    trials: list[TrialRecord] = field(default_factory=list)
    ensemble: TrialRecord | None = None
    """The run that evaluates the folds together, when they have ended."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record in the folder of a sweep.

        Raises:
            UsageError: there is none, or it is not one that this version can read.
        """
        file = folder / FILE
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            if values.pop("schema") != 1:
                raise ValueError("its schema is not 1")
            values["trials"] = [TrialRecord(**trial) for trial in values["trials"]]
            if values.get("ensemble") is not None:
                values["ensemble"] = TrialRecord(**values["ensemble"])
            return cls(**values)
        except FileNotFoundError:
            raise UsageError(f"{folder} is not the folder of a sweep: it has no {FILE}") from None
        except (ValueError, TypeError, KeyError) as error:
            raise UsageError(f"{file} can't be read: {error}") from error

    def to_data(self) -> dict[str, Any]:
        return {"schema": 1, **asdict(self)}

    def groups(self) -> Iterator[list[TrialRecord]]:
        """The runs of each trial together."""
        found: dict[int, list[TrialRecord]] = {}
        for trial in self.trials:
            found.setdefault(trial.group, []).append(trial)
        yield from found.values()

    def count(self, state: TrialState) -> int:
        return sum(trial.state == state for trial in self.trials)


class RecordWriter:
    """Writes a record when it matters, and else no more often than it can afford: with ten thousand trials the file is
    large.
    """

    def __init__(self, folder: Path, record: SweepRecord) -> None:
        self._file = folder / FILE
        self._record = record
        self._next = 0.0

    def write(self, *, now: bool = False) -> None:
        """Replaces sweep.json; without `now`, only where the last time is long enough ago."""
        started = time.monotonic()
        if now or started >= self._next:
            write_json(self._file, self._record.to_data())
            took = time.monotonic() - started
            self._next = started + took * _SHARE if took > 0.01 else 0.0
