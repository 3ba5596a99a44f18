"""A sweep job's trials: how they stand, and what they print."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from innereye_runtime.targets.azureml.history import get_children
from innereye_runtime.targets.azureml.logs import LogReader
from innereye_runtime.targets.azureml.session import TERMINAL_STATES, Session, state_in_words
from innereye_runtime.targets.azureml.workspace_api import ServiceJob

_NUMBER = re.compile(r"_(\d+)$")


def is_sweep(job: ServiceJob) -> bool:
    return job.type == "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureTrial:
    """A trial as the service has it."""

    job: str
    number: int
    state: str
    parameters: Mapping[str, Any]
    """Of those that the service reports, by their names in Azure."""

    @property
    def name(self) -> str:
        return f"{self.number:03}"


def trials_of(session: Session, job: str) -> list[AzureTrial]:
    """The trials that were started so far, the first one first.

    Raises:
        PreflightError: the service can't be asked.
    """
    numbered = [
        (int(match[1]), one) for one in get_children(session, job) if (match := _NUMBER.search(str(one.get("runId"))))
    ]
    return [
        AzureTrial(
            job=str(one["runId"]),
            number=number,
            state=state_in_words(one.get("status")),
            parameters=_told(one.get("tags") or {}),
        )
        for number, one in sorted(numbered, key=lambda each: each[0])
    ]


def summary(trials: list[AzureTrial]) -> str:
    """How many trials are in each state."""
    return ", ".join(f"{count} {state}" for state, count in Counter(trial.state for trial in trials).items())


class SweepLog:
    """What the trials of a sweep print, each piece under the name of its trial. `read` gives what is new."""

    def __init__(self, session: Session, job: str) -> None:
        self._session = session
        self._job = job
        self._readers: dict[str, LogReader] = {}
        self._ended: set[str] = set()
        self._last = ""

    def read(self) -> Iterator[bytes]:
        """The new pieces.

        Raises:
            PreflightError: a log can't be reached.
        """
        for trial in trials_of(self._session, self._job):
            if trial.job in self._ended:
                continue
            reader = self._readers.setdefault(trial.job, LogReader(self._session, trial.job))
            for piece in reader.read():
                if trial.job != self._last:
                    self._last = trial.job
                    yield f"==> trial {trial.name} ({trial.job}) <==\n".encode()
                yield piece
            if trial.state in TERMINAL_STATES:
                self._ended.add(trial.job)


def log_of(session: Session, job: ServiceJob) -> LogReader | SweepLog:
    """The log of a job of either kind."""
    return (SweepLog if is_sweep(job) else LogReader)(session, job.name)


def _told(tags: Mapping[str, str]) -> Mapping[str, Any]:
    """The parameters that the service writes into a tag of a trial."""
    try:
        found = json.loads(tags.get("hyperparameters", ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
