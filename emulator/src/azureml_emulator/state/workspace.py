"""One workspace: its assets, datastores and jobs, and places in its storage account."""

from __future__ import annotations

import datetime as dt
import re
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from azureml_emulator.http import arm_error, stable_uuid, utc_now
from azureml_emulator.state.job import CommandJob

SUBSCRIPTION = "00000000-1111-2222-3333-444444444444"
RESOURCE_TYPE = "Microsoft.MachineLearningServices/workspaces"
Resource = dict[str, Any]
AssetKey = tuple[str, str, str | None]
"""Kind (`codes`, `environments`, `data`, `datastores`), name, version."""


class Workspace:
    """`output_type`: the type of an output in run history (azure-ai-ml compares it with "uri_folder", which does not
    match: Azure/azure-sdk-for-python#48941).
    """

    subscription = SUBSCRIPTION
    group = "emulator-rg"
    name = "emulator-ws"
    location = "westeurope"
    account = "emulatorstore"
    output_type = "UriFolder"
    artifacts = "azureml"
    """The container behind `workspaceartifactstore`."""

    def __init__(self, *, blobs: BlobServiceClient, key: str, identity_stores: bool = False) -> None:
        """`identity_stores`: the datastores have no key; clients read them with their own token."""
        self.id = (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.group}/providers/{RESOURCE_TYPE}/{self.name}"
        )
        self.guid = stable_uuid(self.id)
        self.key = key
        self.blobs = blobs
        self.lock = threading.RLock()
        self.assets: dict[AssetKey, Resource] = {}
        self.jobs: dict[str, CommandJob] = {}
        self.operations: dict[str, Callable[[], bool]] = {}
        """Long-running operations by their key: each returns whether it is done."""
        self.output_assets: dict[str, str] = {}
        """The URI of each output of a job, by asset id."""
        self.store = f"azureml-blobstore-{self.guid}"
        for datastore, container in (("workspaceblobstore", self.store), ("workspaceartifactstore", self.artifacts)):
            self.add_datastore(datastore, container, identity=identity_stores)

    @property
    def account_url(self) -> str:
        return f"https://{self.account}.blob.core.windows.net"

    @property
    def api(self) -> str:
        """The host of run history and of MLflow."""
        return f"https://{self.location}.api.azureml.ms"

    @property
    def tracking_uri(self) -> str:
        return f"azureml://{self.location}.api.azureml.ms/mlflow/v1.0{self.id}"

    def put(self, kind: str, name: str, version: str | None, properties: dict[str, Any]) -> Resource:
        """The new resource, which replaces one with the same name and version."""
        path = f"{kind}/{name}" + (f"/versions/{version}" if version else "")
        created = utc_now()
        resource = {
            "id": f"{self.id}/{path}",
            "name": version or name,
            "type": f"{RESOURCE_TYPE}/{kind}" + ("/versions" if version else ""),
            "properties": properties,
            "systemData": {
                "createdAt": created,
                "createdBy": "azureml-emulator",
                "createdByType": "Application",
                "lastModifiedAt": created,
            },
        }
        with self.lock:
            self.assets[kind, name, version] = resource
        return resource

    def asset(self, kind: str, name: str, version: str | None) -> Resource:
        """The resource.

        Raises:
            ServiceError: 404.
        """
        try:
            return self.assets[kind, name, version]
        except KeyError:
            message = f"Asset with name: {name} and version: {version} of {kind} was not found."
            raise arm_error(404, "UserError", message) from None

    def job(self, name: str) -> CommandJob:
        """The job.

        Raises:
            ServiceError: 404.
        """
        try:
            return self.jobs[name]
        except KeyError:
            raise arm_error(404, "UserError", f"CommandJob {name} was not found.") from None

    def datastore_uri(self, path: str, datastore: str = "workspaceblobstore") -> str:
        """The long form of the URI of a path in a datastore."""
        return (
            f"azureml://subscriptions/{self.subscription}/resourcegroups/{self.group}/workspaces/{self.name}"
            f"/datastores/{datastore}/paths/{path}"
        )

    def locate(self, uri: str) -> tuple[str, str]:
        """Container and prefix of any URI that is valid in a job.

        Raises:
            ValueError: it is not a path or data asset of this workspace.
        """
        workspace = r"(?:subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
        if match := re.match(rf"azureml://{workspace}datastores/([^/]+)/(?:paths/)?(.*)", uri):
            datastore = self.assets.get(("datastores", match[1], None))
            if datastore is None:
                raise ValueError(f"there is no datastore {match[1]}")
            return str(datastore["properties"]["containerName"]), match[2]
        if match := re.match(rf"wasbs://([^@/]+)@{self.account}\.blob\.core\.windows\.net/(.*)", uri):
            return match[1], match[2]
        if uri.startswith(f"{self.account_url}/"):
            path = urllib.parse.unquote(urllib.parse.urlsplit(uri).path).lstrip("/")
            container, _, prefix = path.partition("/")
            return container, prefix
        match = re.match(r"azureml://jobs/([^/]+)/outputs/([^/]+)(?:/paths/(.*))?", uri)
        if match and match[1] in self.jobs:
            container, prefix = self.locate(self.output_uri(self.jobs[match[1]], match[2]))
            return container, f"{prefix.rstrip('/')}/{match[3] or ''}".rstrip("/")
        if match := re.search(r"/models/([^/]+)/versions/([^/]+)$", uri):
            model = self.assets.get(("models", match[1], match[2]))
            if model:
                return self.locate(model["properties"]["modelUri"])
        match = re.search(r"/data/([^/]+)/versions/([^/]+)$", uri) or re.match(r"azureml:([^:/]+):([^:/]+)$", uri)
        asset = match and self.assets.get(("data", match[1], match[2]))
        if not asset:
            raise ValueError(f"{uri} is not a path, data asset or model of this workspace")
        return self.locate(asset["properties"]["dataUri"])

    def output_uri(self, job: CommandJob, name: str) -> str:
        """The URI of an output: the one in the job, else the default."""
        return str(job.outputs[name].get("uri") or self.datastore_uri(f"azureml/{job.name}/{name}/"))

    def register_output(self, job: CommandJob, name: str) -> str:
        """The asset id of an output of a job; its URI is in `output_assets` from now on."""
        key = (
            f"azureml://locations/{self.location}/workspaces/{self.guid}"
            f"/data/azureml_{job.name}_output_data_{name}/versions/1"
        )
        self.output_assets[key] = self.output_uri(job, name)
        return key

    def register_named_outputs(self, job: CommandJob) -> None:
        """Makes an asset of each output of a complete job that has a name for one: its next version."""
        for output, definition in job.outputs.items():
            if not (name := definition.get("assetName")):
                continue
            kind = "models" if definition["jobOutputType"].endswith("_model") else "data"
            place, what = ("modelUri", "modelType") if kind == "models" else ("dataUri", "dataType")
            known = sum((asset_kind, asset) == (kind, name) for asset_kind, asset, _ in self.assets)
            properties = {
                place: self.output_uri(job, output),
                what: definition["jobOutputType"],
                "isAnonymous": False,
                "isArchived": False,
                "tags": {},
                "properties": {},
            }
            properties |= {"flavors": {}} if kind == "models" else {}
            self.put(kind, name, str(known + 1), properties)

    def container_sas(self, container: str) -> str:
        """A signature that permits writes into a container, for eight hours."""
        allowed = ContainerSasPermissions(read=True, write=True, list=True, create=True, add=True)
        return generate_container_sas(
            self.account, container, account_key=self.key, permission=allowed, expiry=_in_hours(8)
        )

    def blob_url(self, container: str, name: str) -> str:
        """A URL at which a blob can be read for an hour."""
        signature = generate_blob_sas(
            self.account,
            container,
            name,
            account_key=self.key,
            permission=BlobSasPermissions(read=True),
            expiry=_in_hours(1),
        )
        return f"{self.account_url}/{container}/{urllib.parse.quote(name)}?{signature}"

    def add_datastore(self, name: str, container: str, *, identity: bool = False) -> None:
        """Creates a container of the storage account and its datastore; with `identity`, one without a key."""
        self.blobs.create_container(container)
        self.put(
            "datastores",
            name,
            None,
            {
                "datastoreType": "AzureBlob",
                "accountName": self.account,
                "containerName": container,
                "endpoint": "core.windows.net",
                "protocol": "https",
                "isDefault": name == "workspaceblobstore",
                "serviceDataAccessAuthIdentity": "None",
                "credentials": {"credentialsType": "None" if identity else "AccountKey"},
                "description": None,
                "tags": {},
                "properties": {},
            },
        )


def _in_hours(hours: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
