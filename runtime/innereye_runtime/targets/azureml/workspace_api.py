"""Reading a workspace over its REST API: jobs, datastores, the workspace itself.

azure-ai-ml can do that too, and takes a second of processor time and 100 MB to import, which who only asks for a job
or downloads its blobs needn't spend. Whatever changes a workspace goes through azure-ai-ml.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.azureml.connections import Connections

MANAGEMENT = "https://management.azure.com"
SCOPE = f"{MANAGEMENT}/.default"
_HOSTS = (".management.azure.com", ".azureml.ms")
"""Of the management of resources, and of each region's workspaces."""
VERSION = "2024-04-01"
"""A stable one: what is read here has not changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceJob:
    """A job as the service has it."""

    name: str
    type: str
    """In the words of a job file: command, sweep."""
    status: str
    tags: Mapping[str, str]
    outputs: Mapping[str, str | None]
    """The URI of each, by its name; None: AzureML chooses the place."""
    experiment: str
    display_name: str
    created: datetime | None
    studio: str
    """The page of the job."""

    @classmethod
    def of(cls, resource: Mapping[str, Any]) -> ServiceJob:
        """The job that the service describes by `resource`."""
        properties = resource["properties"]
        created = (resource.get("systemData") or {}).get("createdAt")
        services = properties.get("services") or {}
        return cls(
            name=str(resource["name"]),
            type=str(properties.get("jobType", "")).lower(),
            status=str(properties.get("status") or ""),
            tags=properties.get("tags") or {},
            outputs={name: (one or {}).get("uri") for name, one in (properties.get("outputs") or {}).items()},
            experiment=properties.get("experimentName") or "",
            display_name=properties.get("displayName") or "",
            created=datetime.fromisoformat(created) if created else None,
            studio=(services.get("Studio") or {}).get("endpoint") or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobDatastore:
    account: str
    account_url: str
    container: str
    secret: str | None
    """A key or a token of its own; None: a user's own token opens it."""


class WorkspaceApi:
    """The REST API of one workspace. Methods raise `ServiceError`."""

    def __init__(
        self,
        connections: Connections,
        token: Callable[[str], str],
        subscription_id: str,
        resource_group: str,
        workspace: str,
    ) -> None:
        """`token`: gives a token of this user for the scope that it gets."""
        self._connections = connections
        self._token = token
        self.resource_id = (
            f"/subscriptions/{subscription_id}/resourceGroups/{resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"
        )

    def job(self, name: str) -> ServiceJob:
        return ServiceJob.of(self._ask("GET", f"jobs/{name}"))

    def jobs(self, *, tag: str) -> Iterator[ServiceJob]:
        """The jobs that have a tag of this name, the newest first; further pages are asked for as they are needed."""
        answer = self._ask("GET", "jobs", tag=tag)
        while True:
            yield from (ServiceJob.of(one) for one in answer.get("value") or ())
            if not answer.get("nextLink"):
                return
            answer = self.get(answer["nextLink"])

    @cached_property
    def runs_url(self) -> str:
        """Where run history has the runs of the workspace."""
        services = self.get(str(self._ask("GET", "")["properties"]["discoveryUrl"]))
        return f"{services['api']}/history/v1.0{self.resource_id}/runs"

    def default_datastore(self) -> str:
        """The name of the workspace's default datastore."""
        return str(self._ask("GET", "datastores", isDefault="true")["value"][0]["name"])

    def blob_datastore(self, name: str) -> BlobDatastore | None:
        """How to open a datastore; None where it is not one of blobs."""
        properties = self._ask("GET", f"datastores/{name}")["properties"]
        if properties.get("datastoreType") != "AzureBlob":
            return None
        secret = None
        if (properties.get("credentials") or {}).get("credentialsType") in ("AccountKey", "Sas"):
            secrets = self._ask("POST", f"datastores/{name}/listSecrets")
            secret = secrets.get("key") or secrets.get("sasToken")
        protocol, endpoint = properties.get("protocol") or "https", properties.get("endpoint") or "core.windows.net"
        return BlobDatastore(
            account=properties["accountName"],
            account_url=f"{protocol}://{properties['accountName']}.blob.{endpoint}",
            container=properties["containerName"],
            secret=secret,
        )

    def get(self, url: str) -> Any:
        """The JSON at `url`, which an answer named and this user's token opens.

        Raises:
            PreflightError: it is not one of Azure's management, to which alone the token is sent.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" or not f".{parts.hostname}".endswith(_HOSTS):
            raise PreflightError(
                f"an answer of Azure names {parts.scheme}://{parts.hostname}, which is not in Azure",
                hint="your login is not sent there; look for what is between this machine and Azure: HTTPS_PROXY",
            )
        return self._send("GET", url, {})

    def _ask(self, verb: str, path: str, **query: str) -> Any:
        url = f"{MANAGEMENT}{self.resource_id}/{path}".rstrip("/")
        return self._send(verb, url, {"api-version": VERSION, **query})

    def _send(self, verb: str, url: str, query: Mapping[str, str]) -> Any:
        headers = {"Authorization": f"Bearer {self._token(SCOPE)}", "Accept": "application/json"}
        with self._connections.response(verb, f"{url}?{urlencode(query)}" if query else url, headers) as answer:
            return json.loads(answer.read())
