"""One command job: what was submitted, and its state."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from azureml_emulator.http import stable_uuid, utc_now

FINISHED = ("Canceled", "Completed", "Failed")


@dataclass(slots=True, kw_only=True)
class RunData:
    """What a job logged to MLflow."""

    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Each with key, value, timestamp (ms) and step."""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class CommandJob:
    def __init__(self, name: str, properties: dict[str, Any], *, parent: str = "") -> None:
        """`parent`: the sweep job whose trial it is."""
        self.name = name
        self.parent = parent
        self.properties = properties
        self.uuid = uuid.uuid4()
        self.status = "Starting"
        self.history: list[str] = []
        """Every status so far."""
        self.attempt = 0
        self.error: str | None = None
        self.warnings: list[str] = []
        self.data = RunData()
        self.created, self.created_ms = utc_now(), int(time.time() * 1000)
        self.started: str | None = None
        self.ended: str | None = None
        self.canceled, self.preempted = threading.Event(), threading.Event()
        self.preempted_with_notice = False

    # -- changes -----------------------------------------------------------------

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    def set_status(self, status: str) -> None:
        self.status = status
        self.history.append(status)

    def cancel(self) -> None:
        if not self.is_finished:
            self.set_status("CancelRequested")
            self.canceled.set()

    def preempt(self, *, notice: bool = False) -> None:
        """Takes its nodes away: without a signal, as on AmlCompute, or after SIGTERM, as on Kubernetes."""
        self.preempted_with_notice = notice
        self.preempted.set()

    def patch(self, changes: dict[str, Any]) -> None:
        """Applies what run history lets a client change."""
        for key in ("displayName", "description"):
            if changes.get(key) is not None:
                self.properties[key] = changes[key]
        for key in ("tags", "properties"):
            self.properties.setdefault(key, {}).update(changes.get(key) or {})

    # -- what was submitted --------------------------------------------------------

    @property
    def inputs(self) -> dict[str, Any]:
        return self.properties.get("inputs") or {}

    @property
    def outputs(self) -> dict[str, Any]:
        return self.properties.get("outputs") or {}

    @property
    def resources(self) -> dict[str, Any]:
        return self.properties.get("resources") or {}

    @property
    def experiment(self) -> str:
        return str(self.properties.get("experimentName") or "Default")

    @property
    def experiment_id(self) -> str:
        return stable_uuid(self.experiment)

    @property
    def compute(self) -> str:
        return str(self.properties.get("computeId") or "serverless").rsplit("/", 1)[-1]

    @property
    def artifact_prefix(self) -> str:
        """The folder of its logs and outputs in the artifact store."""
        return f"ExperimentRun/dcid.{self.name}"
