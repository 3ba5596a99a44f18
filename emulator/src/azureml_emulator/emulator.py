"""The whole emulator: `with open_emulator() as emulator:`, and a client's configuration as `emulator.environment()`."""

from __future__ import annotations

import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from azure.storage.blob import BlobServiceClient

from azureml_emulator.faults import Fault, FaultInjector
from azureml_emulator.jobs.cleanup import owner_label
from azureml_emulator.jobs.runner import Runner
from azureml_emulator.network.certificates import make_certificates
from azureml_emulator.network.connect_proxy import ConnectProxy
from azureml_emulator.recording import Call, Recording
from azureml_emulator.services.api_server import ApiServer, Services
from azureml_emulator.services.control_plane import ControlPlane
from azureml_emulator.services.run_history import RunHistory
from azureml_emulator.services.token_issuer import CLIENT, TENANT, TokenIssuer
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.azurite import Azurite, find_azurite
from azureml_emulator.storage.fault_proxy import BlobFaultProxy
from azureml_emulator.storage.output_store import StoreMode

IMAGE_VARIABLE, IMAGE = "INNEREYE_AZUREML_IMAGE", "innereye-runtime:cpu"
"""The default image of innereye-runtime's jobs: the local engine takes the place of a registry."""
_LOCAL = "127.0.0.1,localhost"


class Emulator:
    """A workspace that exists on this machine until `close`, or until the end of a `with` block."""

    def __init__(
        self,
        *,
        azurite: Sequence[str],
        faults: Iterable[Fault] = (),
        preemptions: Sequence[float] = (),
        restarts_preempted: bool = True,
        identity_stores: bool = False,
        output_store: Sequence[StoreMode] = (),
        grace: int = 30,
        most_running: int | None = None,
        record: Path | None = None,
    ) -> None:
        """`azurite`: the command that starts it. `preemptions`: seconds after which the first, second, ... attempt of
        each job loses its nodes. `restarts_preempted`: the platform restarts a preempted job; else it fails.
        `identity_stores`: datastores have no key. `output_store`: how the store of mounted outputs behaves, see
        `OutputStore`. `grace`: seconds between SIGTERM and SIGKILL. `most_running`: jobs at the same time; others stay
        queued. `record`: a file that receives each call, see `recording`.

        Raises:
            PreflightError: Azurite does not start.
            UsageError: `record` cannot be written.
        """
        with ExitStack() as stack:  # if a part does not start, those before it are stopped
            self._recording = Recording(record)
            stack.callback(self._recording.close)
            folder = tempfile.TemporaryDirectory(prefix="azureml-emulator-", ignore_cleanup_errors=True)
            root = Path(stack.enter_context(folder))
            self.faults = FaultInjector(faults)
            self._certificates = make_certificates(root / "tls")
            self._secret = secrets.token_urlsafe(24)
            self.tokens = TokenIssuer(self._secret)
            self._azurite = Azurite([*azurite], root, self._certificates, Workspace.account, owner_label=owner_label())
            stack.callback(self._azurite.stop)
            self.workspace = self._workspace(identity_stores)
            self.runner = Runner(
                self.workspace,
                root / "jobs",
                authority=self._certificates.authority,
                grace=grace,
                preemptions=preemptions,
                restarts_preempted=restarts_preempted,
                store_modes=output_store,
                most_running=most_running,
                run_token=lambda: self.tokens.issue("https://management.azure.com"),
                listen=lambda host: self.proxy.listen(host),
            )
            self._serve(stack)
            stack.callback(self.runner.stop)
            self._stack = stack.pop_all()

    def _workspace(self, identity_stores: bool) -> Workspace:
        blobs = BlobServiceClient(
            # On loopback, with the account in the path, whatever proxy the environment has.
            f"https://127.0.0.1:{self._azurite.port}/{Workspace.account}",
            credential=self._azurite.key,
            connection_verify=str(self._certificates.authority),
            use_env_settings=False,
        )
        return Workspace(blobs=blobs, key=self._azurite.key, identity_stores=identity_stores)

    def _serve(self, stack: ExitStack) -> None:
        """Starts the servers and the proxy; `stack` gets their ends."""
        services = Services(
            arm=ControlPlane(self.workspace, self.runner).respond,
            api=RunHistory(self.workspace).respond,
            tokens=self.tokens,
        )
        self.server = ApiServer(
            services, certificates=self._certificates, faults=self.faults, recording=self._recording
        )
        stack.callback(self.server.stop)
        self.fault_proxy = BlobFaultProxy(self._azurite.port, certificates=self._certificates, faults=self.faults)
        stack.callback(self.fault_proxy.stop)
        self.proxy = ConnectProxy(
            [
                (f"{Workspace.account}.blob.core.windows.net", self.fault_proxy.address),
                ("management.azure.com", self.server.address),
                ("login.microsoftonline.com", self.server.address),
                (f"{Workspace.location}.api.azureml.ms", self.server.address),
            ]
        )
        stack.callback(self.proxy.stop)

    def environment(self) -> dict[str, str]:
        """The environment variables that direct a client to the emulator and sign it in; it needs nothing else."""
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
        """Uploads a folder and registers it as a data asset of the workspace."""
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
        """Every request to the control plane, run history and the token service, with its response."""
        return self._recording.calls

    @property
    def missing_data(self) -> list[str]:
        """The data assets that were requested and do not exist."""
        found = (re.search(r"/data/([^/]+)(/versions/[^/]+)?$", call.request.path) for call in self.calls)
        requested = {match[1] for match in found if match}
        return sorted(requested - {name for kind, name, _ in self.workspace.assets if kind == "data"})

    def close(self) -> None:
        """Ends every job and every server. No container of a job outlives it."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_emulator(
    folder: Path | None = None,
    *,
    faults: Iterable[Fault] = (),
    preemptions: Sequence[float] = (),
    restarts_preempted: bool = True,
    identity_stores: bool = False,
    output_store: Sequence[StoreMode] = (),
    grace: int = 30,
    most_running: int | None = None,
    record: Path | None = None,
) -> Emulator:
    """An `Emulator` with the Azurite in `node_modules` of `folder` (default: the working directory) or of a folder
    above it, else with the one on PATH.

    Raises:
        PreflightError: Azurite is not installed or does not start.
        UsageError: `record` cannot be written.
    """
    start = (folder or Path.cwd()).resolve()
    return Emulator(
        azurite=find_azurite([start, *start.parents]),
        faults=faults,
        preemptions=preemptions,
        restarts_preempted=restarts_preempted,
        identity_stores=identity_stores,
        output_store=output_store,
        grace=grace,
        most_running=most_running,
        record=record,
    )
