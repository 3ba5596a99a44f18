"""One CommandJob: its state, and what the REST surfaces say of it."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from azureml_emulator.http import stable_uuid, utc_now
from azureml_emulator.services.mlflow_tracking import RunData
from azureml_emulator.state.workspace import RESOURCE_TYPE, Workspace

OVER = ("Canceled", "Completed", "Failed")


class Job:
    def __init__(self, workspace: Workspace, name: str, properties: dict[str, Any]) -> None:
        self.workspace = workspace
        self.name = name
        self.properties = properties
        self.uuid = uuid.uuid4()
        self.status = "Starting"
        self.history: list[str] = []
        """Every status that it has had."""
        self.attempt = 0
        self.error: str | None = None
        self.warnings: list[str] = []
        self.data = RunData()
        self.created, self.created_ms = utc_now(), int(time.time() * 1000)
        self.started: str | None = None
        self.ended: str | None = None
        self.canceled, self.preempted = threading.Event(), threading.Event()
        self.preempted_with_notice = False

    # -- what may be done to it ------------------------------------------------------

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    def become(self, status: str) -> None:
        self.status = status
        self.history.append(status)

    def cancel(self) -> None:
        if not self.is_over:
            self.become("CancelRequested")
            self.canceled.set()

    def preempt(self, *, notice: bool = False) -> None:
        """Takes its nodes away: without any signal, as on AmlCompute, or with SIGTERM first, as on Kubernetes."""
        self.preempted_with_notice = notice
        self.preempted.set()

    def patch(self, changes: dict[str, Any]) -> None:
        """What run history lets a client change."""
        for key in ("displayName", "description"):
            if changes.get(key) is not None:
                self.properties[key] = changes[key]
        for key in ("tags", "properties"):
            self.properties.setdefault(key, {}).update(changes.get(key) or {})

    # -- what it was asked for -------------------------------------------------------

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
        return f"ExperimentRun/dcid.{self.name}"

    def output_uri(self, name: str) -> str:
        """Where an output lies: where the job says, else the default place."""
        return str(self.outputs[name].get("uri") or self.workspace.datastore_uri(f"azureml/{self.name}/{name}/"))

    # -- what is said of it ------------------------------------------------------------

    def resource(self) -> dict[str, Any]:
        """As recorded from the real service: what was not given is null, and some of it is filled in."""
        workspace, given = self.workspace, self.properties
        not_given = dict.fromkeys(
            (
                "description",
                "computeId",
                "identity",
                "componentId",
                "codeId",
                "distribution",
                "autologgerSettings",
                "limits",
            )
        )
        literals = {name: one["value"] for name, one in self.inputs.items() if one["jobInputType"] == "literal"}
        default = {
            "jobOutputType": "uri_folder",
            "uri": f"azureml://datastores/workspaceartifactstore/{self.artifact_prefix}",
        }
        resources = {"instanceCount": 1, "instanceType": None, "properties": None, "shmSize": "2g", "dockerArgs": None}
        studio = (
            f"https://ml.azure.com/runs/{self.name}?wsid=/subscriptions/{workspace.subscription}"
            f"/resourcegroups/{workspace.group}/workspaces/{workspace.name}"
        )
        properties = {
            **not_given,
            "isArchived": False,
            "displayName": self.name,
            "experimentName": "Default",
            **given,
            "tags": given.get("tags") or {},
            "environmentVariables": given.get("environmentVariables") or {},
            "properties": {"_azureml.ComputeTargetType": "amlctrain", **(given.get("properties") or {})},
            "status": self.status,
            "parameters": literals,
            "services": {
                "Tracking": _service("Tracking", f"{workspace.tracking_uri}?"),
                "Studio": _service("Studio", studio),
            },
            "resources": {**resources, **self.resources},
            "inputs": {name: {"description": None, **one} for name, one in self.inputs.items()},
            "outputs": {name: {**_OUTPUT, **one} for name, one in {**self.outputs, "default": default}.items()},
        }
        return {
            "id": f"{workspace.id}/jobs/{self.name}",
            "name": self.name,
            "type": f"{RESOURCE_TYPE}/jobs",
            "properties": properties,
            "systemData": {"createdAt": self.created, "createdBy": "stand-in", "createdByType": "User"},
        }

    def run(self) -> dict[str, Any]:
        """As run history has it."""
        return {
            **self._common(),
            "rootRunId": self.name,
            "experimentId": self.experiment_id,
            "dataContainerId": f"dcid.{self.name}",
            "displayName": self.properties.get("displayName"),
            "description": self.properties.get("description"),
            "createdUtc": self.created,
            "runType": "azureml.CommandJob",
            "outputs": {
                name: {"assetId": self._output_asset(name), "type": self.workspace.output_type} for name in self.outputs
            },
        }

    def details(self) -> dict[str, Any]:
        """As run history has it, with the addresses of the logs."""
        workspace, prefix = self.workspace, f"{self.artifact_prefix}/"
        blobs = workspace.blobs.get_container_client(workspace.artifacts).list_blobs(
            name_starts_with=f"{prefix}user_logs/"
        )
        return {
            **self._common(),
            "target": self.compute,
            "createdTimeUtc": self.created,
            "logFiles": {
                blob.name[len(prefix) :]: workspace.blob_url(workspace.artifacts, blob.name) for blob in blobs
            },
            "warnings": [{"source": "compute", "message": warning} for warning in self.warnings],
            "error": {"error": {"code": "UserError", "message": self.error}} if self.error else None,
        }

    def _common(self) -> dict[str, Any]:
        return {
            "runId": self.name,
            "runUuid": str(self.uuid),
            "status": self.status,
            "startTimeUtc": self.started,
            "endTimeUtc": self.ended,
            "tags": self.properties.get("tags") or {},
            "properties": self.properties.get("properties") or {},
        }

    def _output_asset(self, name: str) -> str:
        workspace = self.workspace
        key = (
            f"azureml://locations/{workspace.location}/workspaces/{workspace.guid}"
            f"/data/azureml_{self.name}_output_data_{name}/versions/1"
        )
        workspace.output_assets[key] = self.output_uri(name)
        return key


_OUTPUT = {"description": None, "uri": None, "assetName": None, "assetVersion": None, "mode": "ReadWriteMount"}


def _service(kind: str, endpoint: str) -> dict[str, Any]:
    unset = dict.fromkeys(("port", "status", "errorMessage", "properties", "nodes"))
    return {"jobServiceType": kind, "endpoint": endpoint, **unset}
