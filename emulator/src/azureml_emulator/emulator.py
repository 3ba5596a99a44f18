"""All of the stand-in together: `with Cloud(...) as cloud:`, and what a client needs as `cloud.environment()`."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from azure.storage.blob import BlobServiceClient

from azureml_emulator.checker.api_description import Description, find_description
from azureml_emulator.faults import Fault, FaultPlan
from azureml_emulator.jobs.cleanup import owner_label
from azureml_emulator.jobs.runner import Runner
from azureml_emulator.network.certificates import make_certificates
from azureml_emulator.network.connect_proxy import Proxy
from azureml_emulator.services.api_server import Call, Server, Services
from azureml_emulator.services.control_plane import ControlPlane
from azureml_emulator.services.run_history import History
from azureml_emulator.services.token_issuer import CLIENT, TENANT, Tokens
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.azurite import Azurite, find_azurite
from azureml_emulator.storage.fault_proxy import BlobGate

IMAGE_VARIABLE, IMAGE = "INNEREYE_AZUREML_IMAGE", "innereye-runtime:cpu"
"""For manifests that name no image: the local engine is the registry here."""
_LOCAL = "127.0.0.1,localhost"


class Cloud:
    """A workspace that is there from the start of the block to its end, on this machine alone."""

    def __init__(
        self,
        *,
        azurite: Sequence[str],
        description: Description | None = None,
        faults: Iterable[Fault] = (),
        preemptions: Sequence[float] = (),
        restarts_preempted: bool = True,
        identity_stores: bool = False,
        grace: int = 30,
    ) -> None:
        """`azurite`: the command that starts it. `description`: None leaves requests unchecked. `preemptions`: seconds
        after which each attempt of a job loses its nodes. `restarts_preempted`: a preempted job is started again by the
        platform, else it has failed. `grace`: seconds between SIGTERM and SIGKILL.

        Raises:
            PreflightError: Azurite does not start.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="azureml-stand-in-", ignore_cleanup_errors=True)
        root = Path(self._folder.name)
        self._certificates = make_certificates(root / "tls")
        self._secret = secrets.token_urlsafe(24)
        self.faults = FaultPlan(faults)
        self.tokens = Tokens(self._secret)
        self._azurite = Azurite([*azurite], root, self._certificates, Workspace.account, owner_label=owner_label())
        blobs = BlobServiceClient(
            # On loopback, with the account in the path: the stand-in itself needs no proxy.
            f"https://127.0.0.1:{self._azurite.port}/{Workspace.account}",
            credential=self._azurite.key,
            connection_verify=str(self._certificates.authority),
        )
        self.workspace = Workspace(blobs=blobs, key=self._azurite.key, identity_stores=identity_stores)
        self.runner = Runner(
            self.workspace,
            root / "jobs",
            authority=self._certificates.authority,
            grace=grace,
            preemptions=preemptions,
            restarts_preempted=restarts_preempted,
            run_token=lambda: self.tokens.issue("https://management.azure.com"),
            listen=lambda host: self.proxy.listen(host),
        )
        services = Services(
            arm=ControlPlane(self.workspace, self.runner).answer,
            api=History(self.workspace).answer,
            tokens=self.tokens,
        )
        self.server = Server(services, certificates=self._certificates, description=description, faults=self.faults)
        self.gate = BlobGate(self._azurite.port, certificates=self._certificates, faults=self.faults)
        self.proxy = Proxy(
            [
                (f"{Workspace.account}.blob.core.windows.net", self.gate.address),
                ("management.azure.com", self.server.address),
                ("login.microsoftonline.com", self.server.address),
                (f"{Workspace.location}.api.azureml.ms", self.server.address),
            ]
        )

    def environment(self) -> dict[str, str]:
        """The variables that lead a client here, and that it signs in with; nothing else has to change for it."""
        workspace, authority = self.workspace, str(self._certificates.authority)
        return {
            "HTTPS_PROXY": self.proxy.url,
            "https_proxy": self.proxy.url,
            "NO_PROXY": _LOCAL,
            "no_proxy": _LOCAL,
            "REQUESTS_CA_BUNDLE": authority,
            "SSL_CERT_FILE": authority,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_CLIENT_SECRET": self._secret,
            "AZUREML_ARM_SUBSCRIPTION": workspace.subscription,
            "AZUREML_ARM_RESOURCEGROUP": workspace.group,
            "AZUREML_ARM_WORKSPACE_NAME": workspace.name,
            IMAGE_VARIABLE: os.environ.get(IMAGE_VARIABLE, IMAGE),
        }

    def add_data(self, name: str, folder: Path, *, version: str = "1") -> None:
        """Uploads a folder, and makes it a data asset of the workspace."""
        workspace = self.workspace
        container = workspace.blobs.get_container_client(workspace.store)
        prefix = f"data/{name}/{version}"
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                container.upload_blob(
                    f"{prefix}/{file.relative_to(folder).as_posix()}", file.read_bytes(), overwrite=True
                )
        properties: dict[str, Any] = {
            "dataType": "uri_folder",
            "dataUri": workspace.datastore_uri(f"{prefix}/"),
            "description": None,
            "isAnonymous": False,
            "isArchived": False,
            "tags": {},
            "properties": {},
        }
        workspace.put("data", name, version, properties)

    @property
    def calls(self) -> list[Call]:
        """Every request to the control plane and run history, with its answer."""
        return self.server.recording.calls

    @property
    def violations(self) -> list[Call]:
        """Calls that depart from the published description, on either side."""
        return self.server.recording.violations

    @property
    def missing_data(self) -> list[str]:
        """Data assets that were asked for and are not there."""
        found = (re.search(r"/data/([^/]+)(/versions/[^/]+)?$", call.request.path) for call in self.calls)
        asked = {match[1] for match in found if match}
        return sorted(asked - {name for kind, name, _ in self.workspace.assets if kind == "data"})

    def close(self) -> None:
        """Ends every job and every server. No container of a job outlives it."""
        self.runner.stop()
        self.proxy.stop()
        self.gate.stop()
        self.server.stop()
        self._azurite.stop()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_cloud(
    places: Sequence[Path],
    *,
    faults: Iterable[Fault] = (),
    preemptions: Sequence[float] = (),
    restarts_preempted: bool = True,
    identity_stores: bool = False,
    grace: int = 30,
) -> Cloud:
    """A `Cloud` with Azurite and the description as they are found below or beside `places`.

    Raises:
        PreflightError: Azurite is not there or does not start.
    """
    return Cloud(
        azurite=find_azurite(list(places)),
        description=find_description(places, os.environ),
        faults=faults,
        preemptions=preemptions,
        restarts_preempted=restarts_preempted,
        identity_stores=identity_stores,
        grace=grace,
    )
