"""One sweep job: its search space, its trials, and what each of them is as a command job."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from azureml_emulator.state.job import CommandJob

PLACEHOLDER = re.compile(r"\$\{\{\s*search_space\.(\w+)\s*\}\}")
_OF_TRIAL = ("codeId", "environmentId", "environmentVariables", "distribution", "resources")
_SHARED = ("experimentName", "computeId", "identity", "queueSettings", "inputs", "outputs")


class SweepJob(CommandJob):
    def __init__(self, name: str, properties: dict[str, Any]) -> None:
        super().__init__(name, properties)
        self.trials: list[CommandJob] = []

    def cancel(self) -> None:
        super().cancel()
        for trial in self.trials:
            trial.cancel()

    def add_trial(self, values: Mapping[str, Any]) -> CommandJob:
        """The next trial, which does not run yet."""
        submitted, component = self.properties, self.properties["trial"]
        number = len(self.trials)
        name = f"{self.name}_{number}"
        properties: dict[str, Any] = {
            "jobType": "Command",
            "displayName": name,
            **{key: component[key] for key in _OF_TRIAL if component.get(key) is not None},
            **{key: submitted[key] for key in _SHARED if submitted.get(key) is not None},
            "command": PLACEHOLDER.sub(lambda match: str(values[match[1]]), component["command"]),
            "tags": {"hyperparameters": json.dumps(values)},
        }
        if limit := self.limits.get("trialTimeout"):
            properties["limits"] = {"jobLimitsType": "Command", "timeout": limit}
        own = {f"AZUREML_SWEEP_{key}": str(value) for key, value in values.items()}
        properties["environmentVariables"] = {**(properties.get("environmentVariables") or {}), **own}
        trial = CommandJob(name, properties, parent=self.name)
        self.trials.append(trial)
        return trial

    @property
    def limits(self) -> Mapping[str, Any]:
        return self.properties.get("limits") or {}

    @property
    def primary_metric(self) -> str:
        return str(self.properties["objective"]["primaryMetric"])

    @property
    def sign(self) -> float:
        """What a value of the primary metric is multiplied by, so that more is better."""
        return 1.0 if self.properties["objective"]["goal"].lower() == "maximize" else -1.0

    def results(self, trial: CommandJob) -> list[float]:
        """The primary metric of a trial each time that it was logged, so that more is better."""
        values = [one for one in trial.data.metrics if one["key"] == self.primary_metric]
        return [self.sign * float(one["value"]) for one in sorted(values, key=lambda one: one["step"])]

    def best(self) -> tuple[CommandJob, float] | None:
        """The completed trial with the best value, and that value."""
        completed = [(trial, self.results(trial)) for trial in self.trials if trial.status == "Completed"]
        found = [(trial, values) for trial, values in completed if values]
        if not found:
            return None
        trial, values = max(found, key=lambda one: max(one[1]))
        return trial, self.sign * max(values)
