"""A job in the formats of the REST APIs: the ARM resource, the run of run history, and its details."""

from __future__ import annotations

from typing import Any

from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.workspace import RESOURCE_TYPE, Workspace

_UNSET = (
    *("description", "computeId", "identity", "componentId", "codeId"),
    *("distribution", "autologgerSettings", "limits"),
)
_UNSET_OF_SWEEP = ("description", "computeId", "identity", "componentId", "limits", "earlyTermination")
_RESOURCES = {"instanceCount": 1, "instanceType": None, "properties": None, "shmSize": "2g", "dockerArgs": None}
_OUTPUT = {"description": None, "uri": None, "assetName": None, "assetVersion": None, "mode": "ReadWriteMount"}


def job_resource(workspace: Workspace, job: CommandJob) -> dict[str, Any]:
    """The ARM resource, as recorded from the real service: what was not submitted is null or a default."""
    submitted = job.properties
    is_sweep = submitted["jobType"] == "Sweep"
    literals = {name: one["value"] for name, one in job.inputs.items() if one["jobInputType"] == "literal"}
    default = {
        "jobOutputType": "uri_folder",
        "uri": f"azureml://datastores/workspaceartifactstore/{job.artifact_prefix}",
    }
    studio = (
        f"https://ml.azure.com/runs/{job.name}?wsid=/subscriptions/{workspace.subscription}"
        f"/resourcegroups/{workspace.group}/workspaces/{workspace.name}"
    )
    of_command = {
        "environmentVariables": submitted.get("environmentVariables") or {},
        "parameters": literals,
        "resources": {**_RESOURCES, **job.resources},
    }
    properties = {
        **dict.fromkeys(_UNSET_OF_SWEEP if is_sweep else _UNSET),
        "isArchived": False,
        "displayName": job.name,
        "experimentName": "Default",
        **submitted,
        "tags": submitted.get("tags") or {},
        **(_of_sweep(submitted) if is_sweep else of_command),
        "properties": {"_azureml.ComputeTargetType": "amlctrain", **(submitted.get("properties") or {})},
        "status": job.status,
        "services": {
            "Tracking": _service("Tracking", f"{workspace.tracking_uri}?"),
            "Studio": _service("Studio", studio),
        },
        "inputs": {name: {"description": None, **one} for name, one in job.inputs.items()},
        "outputs": {name: {**_OUTPUT, **one} for name, one in {**job.outputs, "default": default}.items()},
    }
    return {
        "id": f"{workspace.id}/jobs/{job.name}",
        "name": job.name,
        "type": f"{RESOURCE_TYPE}/jobs",
        "properties": properties,
        "systemData": {"createdAt": job.created, "createdBy": "azureml-emulator", "createdByType": "User"},
    }


def _of_sweep(submitted: dict[str, Any]) -> dict[str, Any]:
    """What the service writes in its own way, whatever the client sent."""
    objective = submitted["objective"]
    return {"objective": {**objective, "goal": objective["goal"].capitalize()}}


def run(workspace: Workspace, job: CommandJob) -> dict[str, Any]:
    """The run, in the format of run history."""
    outputs = {name: workspace.register_output(job, name) for name in job.outputs}
    return {
        **_common(job),
        "rootRunId": job.parent or job.name,
        "parentRunId": job.parent or None,
        "experimentId": job.experiment_id,
        "dataContainerId": f"dcid.{job.name}",
        "displayName": job.properties.get("displayName"),
        "description": job.properties.get("description"),
        "createdUtc": job.created,
        "runType": f"azureml.{job.properties['jobType']}Job",
        "outputs": {name: {"assetId": asset, "type": workspace.output_type} for name, asset in outputs.items()},
    }


def run_details(workspace: Workspace, job: CommandJob) -> dict[str, Any]:
    """The run in the format of run history, with the URLs of its logs."""
    prefix = f"{job.artifact_prefix}/"
    container = workspace.blobs.get_container_client(workspace.artifacts)
    logs = [blob.name for blob in container.list_blobs(name_starts_with=f"{prefix}user_logs/")]
    return {
        **_common(job),
        "target": job.compute,
        "createdTimeUtc": job.created,
        "logFiles": {name[len(prefix) :]: workspace.blob_url(workspace.artifacts, name) for name in logs},
        "warnings": [{"source": "compute", "message": warning} for warning in job.warnings],
        "error": {"error": {"code": "UserError", "message": job.error}} if job.error else None,
    }


def _common(job: CommandJob) -> dict[str, Any]:
    return {
        "runId": job.name,
        "runUuid": str(job.uuid),
        "status": job.status,
        "startTimeUtc": job.started,
        "endTimeUtc": job.ended,
        "tags": job.properties.get("tags") or {},
        "properties": job.properties.get("properties") or {},
    }


def _service(kind: str, endpoint: str) -> dict[str, Any]:
    unset = dict.fromkeys(("port", "status", "errorMessage", "properties", "nodes"))
    return {"jobServiceType": kind, "endpoint": endpoint, **unset}
