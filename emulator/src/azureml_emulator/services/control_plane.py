"""The control plane, management.azure.com: workspace, datastores, versioned assets and jobs."""

from __future__ import annotations

import re
import uuid
from typing import Any

from azureml_emulator.http import Request, Response, arm_error
from azureml_emulator.jobs.runner import Runner
from azureml_emulator.services.job_views import job_resource
from azureml_emulator.services.token_issuer import TENANT
from azureml_emulator.state.workspace import RESOURCE_TYPE, Workspace

_PATH = re.compile(
    r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.MachineLearningServices"
    r"/(?:workspaces/([^/]+)|locations/[^/]+)(?:/(.*))?",
    re.IGNORECASE,
)
ASSETS = ("codes", "environments", "data", "models")


class ControlPlane:
    def __init__(self, workspace: Workspace, runner: Runner) -> None:
        self._workspace = workspace
        self._runner = runner

    def respond(self, request: Request) -> Response:
        """The response to a request.

        Raises:
            ServiceError: the resource does not exist, or the service rejects the request.
        """
        workspace = self._workspace
        match = _PATH.fullmatch(request.path)
        known = match and match[1] == workspace.subscription and match[2] == workspace.group
        if not match or not known or (match[3] and match[3] != workspace.name):
            raise arm_error(404, "ResourceNotFound", f"The Resource '{request.path}' was not found.")
        steps = match[4].split("/") if match[4] else []
        if not match[3]:
            return self._operation_result(steps[-1], request)
        match steps:
            case []:
                return Response(200, self._workspace_resource())
            case ["jobs", *rest]:
                return self._job(rest, request)
            case ["datastores", *rest]:
                return self._datastore(rest, request)
            case ["computes", name]:
                return Response(200, self._compute(name))
            case [kind, name, *rest] if kind in ASSETS:
                return self._asset(kind, name, rest, request)
        raise arm_error(404, "ResourceNotFound", f"the emulator does not implement {request.path}")

    # -- jobs ------------------------------------------------------------------

    def _job(self, steps: list[str], request: Request) -> Response:
        workspace = self._workspace
        if not steps:
            tag = request.query.get("tag")
            listed = [job for job in reversed(list(workspace.jobs.values())) if not job.parent]
            resources = [in_version(job_resource(workspace, job), request.version) for job in listed]
            wanted = [one for one in resources if tag is None or tag in (one["properties"].get("tags") or {})]
            return Response(200, {"value": wanted})
        name = steps[0]
        if steps[-1] == "cancel":
            job = workspace.job(name)
            job.cancel()
            key = f"jc:{workspace.guid}:{name}"
            workspace.operations[key] = lambda: job.is_finished
            return Response(202, None, {"Location": self._operation_url(key, request), "Retry-After": "1"})
        if request.verb != "PUT":
            return Response(200, in_version(job_resource(workspace, workspace.job(name)), request.version))
        properties = request.body["properties"]
        with workspace.lock:
            if name in workspace.jobs:
                raise arm_error(409, "UserError", f"A job with this name already exists: {name}")
            reason = self._runner.rejection_reason(properties)
            if reason:
                raise arm_error(400, "UserError", reason)
            job = workspace.jobs[name] = self._runner.make(name, properties)
        made = job_resource(workspace, job)
        self._runner.start(job)
        url = f"https://management.azure.com{workspace.id}/jobs/{name}?api-version={request.version}"
        return Response(201, made, {"Location": url})

    def _operation_url(self, key: str, request: Request) -> str:
        workspace = self._workspace
        return (
            f"https://management.azure.com/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
            f"/providers/Microsoft.MachineLearningServices/locations/{workspace.location}/mfeOperationResults/{key}"
            f"?api-version={request.version}"
        )

    def _operation_result(self, key: str, request: Request) -> Response:
        is_done = self._workspace.operations.get(key, lambda: True)()
        headers = {"Location": self._operation_url(key, request), "Retry-After": "1"}
        return Response(200 if is_done else 202, None, headers)

    def _compute(self, name: str) -> dict[str, Any]:
        """A cluster: one of any name takes jobs."""
        scale = {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT120S"}
        own = {"vmSize": "Standard_DS3_v2", "vmPriority": "Dedicated", "osType": "Linux", "scaleSettings": scale}
        properties = {"computeType": "AmlCompute", "provisioningState": "Succeeded", "properties": own}
        identity = {"id": f"{self._workspace.id}/computes/{name}", "name": name, "type": f"{RESOURCE_TYPE}/computes"}
        return {**identity, "location": self._workspace.location, "properties": properties}

    # -- datastores and assets ---------------------------------------------------

    def _datastore(self, steps: list[str], request: Request) -> Response:
        workspace = self._workspace
        if not steps:
            only_default = request.query.get("isDefault", "").lower() == "true"
            stores = [resource for (kind, *_), resource in workspace.assets.items() if kind == "datastores"]
            wanted = [store for store in stores if store["properties"]["isDefault"] or not only_default]
            return Response(200, {"value": wanted})
        store = workspace.asset("datastores", steps[0], None)
        if steps[-1] != "listSecrets":
            return Response(200, store)
        if store["properties"]["credentials"]["credentialsType"] == "None":
            raise arm_error(400, "UserError", f"datastore {steps[0]} has no secrets")
        return Response(200, {"secretsType": "AccountKey", "key": workspace.key})

    def _asset(self, kind: str, name: str, steps: list[str], request: Request) -> Response:
        workspace = self._workspace
        if steps[-1:] == ["startPendingUpload"]:
            return Response(200, self._pending_upload())
        if not steps:
            return Response(200, self._container(kind, name))
        if len(steps) == 1:
            return Response(200, {"value": self._versions(kind, name, request.query.get("hash"))})
        version = steps[1]
        if request.verb != "PUT":
            return Response(200, workspace.asset(kind, name, version))
        existing = workspace.assets.get((kind, name, version))
        properties = self._with_defaults(kind, request.body["properties"])
        if existing and kind == "codes" and existing["properties"]["codeUri"] != properties["codeUri"]:
            raise arm_error(400, "UserError", "The asset path of an existing asset cannot be changed.")
        return Response(200 if existing else 201, workspace.put(kind, name, version, properties))

    def _versions(self, kind: str, name: str, digest: str | None) -> list[dict[str, Any]]:
        """In a query by hash, the name is a new one that the SDK generated: the hash is looked up across names."""
        assets = [(key, resource) for key, resource in self._workspace.assets.items() if key[0] == kind]
        if digest is None:
            return [resource for (_, asset, _), resource in reversed(assets) if asset == name]  # the newest first
        return [resource for _, resource in assets if resource["properties"]["properties"].get("hash_sha256") == digest]

    def _container(self, kind: str, name: str) -> dict[str, Any]:
        workspace = self._workspace
        versions = [version for (other, asset, version) in workspace.assets if (other, asset) == (kind, name)]
        if not versions:
            raise arm_error(404, "UserError", f"{name} was not found.")
        latest = versions[-1]
        properties = {"latestVersion": latest, "nextVersion": str(len(versions) + 1), "isArchived": False}
        if kind == "data":
            properties["dataType"] = workspace.assets[kind, name, latest]["properties"]["dataType"]
        path = f"{workspace.id}/{kind}/{name}"
        return {"id": path, "name": name, "type": f"{RESOURCE_TYPE}/{kind}", "properties": properties}

    def _pending_upload(self) -> dict[str, Any]:
        """A new container for each upload, as in the service."""
        workspace = self._workspace
        container = f"azureml-{uuid.uuid4()}"
        workspace.blobs.create_container(container)
        uri = f"{workspace.account_url}/{container}"
        credential = {"credentialType": "SAS", "sasUri": f"{uri}?{workspace.container_sas(container)}"}
        return {
            "pendingUploadId": str(uuid.uuid4()),
            "pendingUploadType": "TemporaryBlobReference",
            "blobReferenceForConsumption": {"blobUri": uri, "storageAccountArmId": "", "credential": credential},
        }

    def _with_defaults(self, kind: str, submitted: dict[str, Any]) -> dict[str, Any]:
        """The properties with what the service adds to an asset."""
        properties = {"isAnonymous": False, "isArchived": False, "tags": {}, **submitted}
        own = submitted.get("properties") or {}
        properties["properties"] = {key: str(value) for key, value in own.items()}
        if place := {"data": "dataUri", "models": "modelUri"}.get(kind):
            short = re.match(r"azureml://datastores/([^/]+)/paths/(.*)", submitted[place])
            if short:
                properties[place] = self._workspace.datastore_uri(short[2], short[1])
        if kind == "models":
            properties = {"flavors": {}, **properties}
        if kind == "environments":
            properties = {"environmentType": "UserCreated", "osType": "Linux", **properties}
        return properties

    def _workspace_resource(self) -> dict[str, Any]:
        workspace = self._workspace
        storage = (
            f"/subscriptions/{workspace.subscription}/resourceGroups/{workspace.group}"
            f"/providers/Microsoft.Storage/storageAccounts/{workspace.account}"
        )
        return {
            "id": workspace.id,
            "name": workspace.name,
            "type": RESOURCE_TYPE,
            "location": workspace.location,
            "tags": {},
            "identity": {"type": "SystemAssigned", "principalId": str(uuid.UUID(int=7)), "tenantId": TENANT},
            "properties": {
                "friendlyName": workspace.name,
                "description": "",
                "storageAccount": storage,
                "workspaceId": workspace.guid,
                "provisioningState": "Succeeded",
                "discoveryUrl": f"{workspace.api}/discovery",
                "mlFlowTrackingUri": workspace.tracking_uri,
                "publicNetworkAccess": "Enabled",
                "tenantId": TENANT,
            },
        }


def in_version(job: dict[str, Any], version: str) -> dict[str, Any]:
    """The job as a version of the API has it: in the stable one of 2024 a sweep job has no resources of its own."""
    if version != "2024-04-01" or job["properties"]["jobType"] != "Sweep":
        return job
    properties = {key: value for key, value in job["properties"].items() if key != "resources"}
    return {**job, "properties": properties}
