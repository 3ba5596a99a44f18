"""The way to one workspace: its REST API, a client of azure-ai-ml, signed in, and the blobs behind its datastores."""

from __future__ import annotations

import gc
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import cache, cached_property
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.azureml.blobs import BlobReader
from innereye_runtime.targets.azureml.connections import Connections
from innereye_runtime.targets.azureml.error_mapping import is_of_sign_in, map_azure_errors, with_retries
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.sign_in import SignIn, make_credential
from innereye_runtime.targets.azureml.workspace_api import BlobDatastore, ServiceJob, WorkspaceApi

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import ContainerClient

T = TypeVar("T")

STATES = (
    *("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Running", "Finalizing"),
    *("CancelRequested", "Completed", "Failed", "Canceled", "NotResponding", "Paused", "Unknown"),
)
TERMINAL_STATES = ("Completed", "Failed", "Canceled", "NotResponding")
"""The states that a job doesn't leave."""
ARTIFACTS = "workspaceartifactstore"
_STORAGE_HOSTS = (".blob.core.windows.net", ".blob.storage.azure.net")
TRIES, SDK_TRIES = 8, 6
"""Of a request; azure-ai-ml tries each of its own by itself too."""


class Session:
    """Nothing is asked for before it is needed. A token that has expired is replaced, once for each request."""

    def __init__(
        self, subscription_id: str, resource_group: str, workspace: str, *, signs_in_here: bool = False
    ) -> None:
        """`signs_in_here`: azure-identity stays in this process, which is not one that follows a job.

        Raises:
            PreflightError: the Azure packages are not installed.
        """
        _require("azure.ai.ml", "azure.identity")
        _quieten()
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.workspace = workspace
        self._signs_in_here = signs_in_here
        self._connections = Connections()
        self._login = 0
        """How often there was another one."""
        self._lock = threading.Lock()
        self._readers: dict[str, BlobReader] = {}
        self._containers: dict[str, ContainerClient] = {}

    @cached_property
    def credential(self) -> TokenCredential | SignIn:
        return make_credential(asks=True) if self._signs_in_here else SignIn()

    @cached_property
    def api(self) -> WorkspaceApi:
        return WorkspaceApi(self._connections, self._token, self.subscription_id, self.resource_group, self.workspace)

    @cached_property
    def client(self) -> MLClient:
        client: MLClient = import_sdk().MLClient(
            self.credential,
            self.subscription_id,
            self.resource_group,
            self.workspace,
            # Without it, the SDK looks at no upload's end, and waits for ever for a file whose upload failed. What it
            # shows is dropped by `suppress_azure_output`.
            show_progress=True,
            # Of the SDK's own, for each request; its ten would keep a user waiting for minutes without a word.
            retry_total=4,
            retry_backoff_factor=0.5,
        )
        return client

    def call(self, doing: str, action: Callable[[MLClient], T], *, hint: str = "") -> T:
        """What `action` gives of the client of azure-ai-ml. It only reads, or may be done more than once.

        Raises:
            PreflightError, UsageError: as `map_azure_errors` has it.
        """
        return self.request(doing, lambda: action(self.client), hint=hint, tries=SDK_TRIES)

    def request(self, doing: str, action: Callable[[], T], *, hint: str = "", tries: int = TRIES) -> T:
        """What `action` gives, which only reads or may be done more than once.

        Raises:
            PreflightError, UsageError: as `map_azure_errors` has it.
        """

        def attempt() -> T:
            login = self._login
            try:
                return action()
            except Exception as error:
                if is_of_sign_in(error):
                    self.refresh_credential(login)
                raise

        with map_azure_errors(doing, hint=hint):
            return with_retries(attempt, tries=tries)

    def refresh_credential(self, login: int | None = None) -> None:
        """Forgets the tokens, and all that was opened with them; nothing where that was done since `login`."""
        with self._lock:
            if login not in (None, self._login):
                return
            self._login += 1
            for name in ("client", "api"):
                self.__dict__.pop(name, None)
            if isinstance(self.credential, SignIn):
                self.credential.forget()
            else:
                del self.credential
            self._containers.clear()
            self._readers.clear()

    def job(self, name: str) -> ServiceJob:
        """The job as it is now.

        Raises:
            PreflightError: it isn't there, or can't be asked for.
        """
        return self.request(f"looking for job {name}", lambda: self.api.job(name))

    def address(self, job: str) -> JobUri:
        """The address of a job of this workspace."""
        return JobUri(
            subscription_id=self.subscription_id,
            resource_group=self.resource_group,
            workspace=self.workspace,
            job=job,
        )

    def blobs(self, datastore: str) -> BlobReader:
        """The blobs of a datastore, to be read: opened with its own key if it holds one, else with this user's token.

        Raises:
            PreflightError: there is no such datastore, or no access to it.
        """
        reader = self._readers.get(datastore)  # another thread may forget all of them at any time
        if reader is None:
            store = self._datastore(datastore)
            reader = self._readers[datastore] = BlobReader(
                self._connections,
                f"{store.account_url}/{store.container}",
                account=store.account,
                secret=store.secret,
                token=self._token,
            )
        return reader

    def container(self, datastore: str) -> ContainerClient:
        """The blobs of a datastore, to be written, as `blobs` opens them.

        Raises:
            PreflightError: there is no such datastore, or no access to it.
        """
        container = self._containers.get(datastore)
        if container is None:
            container = self._containers[datastore] = self._open(self._datastore(datastore))
        return container

    def _datastore(self, name: str) -> BlobDatastore:
        store = self.request(f"opening datastore {name}", lambda: self.api.blob_datastore(name))
        if store is None:
            raise PreflightError(
                f"datastore {name} is not a blob datastore, which the run folder needs",
                hint="name one in compute.azureml.datastore, or leave that out for workspaceblobstore",
            )
        if store.secret is None and not _is_of_azure(store.account_url):
            raise PreflightError(
                f"datastore {name} is at {store.account_url}, which is not in Azure: your login is not sent there",
                hint="use a datastore that has a key or a shared access signature of its own",
            )
        return store

    def _open(self, store: BlobDatastore) -> ContainerClient:
        from azure.storage.blob import ContainerClient, ExponentialRetry

        return ContainerClient(
            store.account_url,
            store.container,
            credential=store.secret or cast(Any, self.credential),
            retry_policy=ExponentialRetry(initial_backoff=0, increment_base=1, retry_total=2),
        )

    def _token(self, scope: str) -> str:
        return self.credential.get_token(scope).token


def _is_of_azure(url: str) -> bool:
    """Whether a token for Azure's storage, which opens all accounts of its user, may be sent there. Anybody who may
    write to a workspace can make a datastore."""
    parts = urlsplit(url)
    return parts.scheme == "https" and str(parts.hostname).endswith(_STORAGE_HOSTS)


@cache
def open_session(subscription_id: str, resource_group: str, workspace: str) -> Session:
    """The session of this process with a workspace: who asks for a hundred jobs signs in once.

    Raises:
        PreflightError: the Azure packages are not installed.
    """
    return Session(subscription_id, resource_group, workspace)


def state_of(job: Job | ServiceJob) -> str:
    """The state of a job in the service's words."""
    return state_in_words(job.status)


def state_in_words(status: object) -> str:
    """A state in the service's words; the SDK makes a member of an enum of some of them."""
    word = str(getattr(status, "value", status) or "")
    return next((known for known in STATES if known.lower() == word.lower().replace("_", "")), word)


@contextmanager
def suppress_azure_output() -> Iterator[None]:
    """Inside it, what the SDK prints by itself (a reset of colours after an upload) is dropped."""
    with redirect_stderr(StringIO()), redirect_stdout(StringIO()):
        yield


def import_sdk() -> Any:
    """azure-ai-ml, which says nothing by itself. Without searches for garbage, which its import would make many of and
    find none, it takes three quarters of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        import azure.ai.ml
    finally:
        if was_enabled:
            gc.freeze()  # what was imported stays, and later searches need not look at it
            gc.enable()
    _quieten()  # once more: it sets levels of its own
    return azure.ai.ml


def _require(*modules: str) -> None:
    """Returns where the modules are installed; none is imported.

    Raises:
        PreflightError: one is not.
    """
    for module in modules:
        try:
            is_there = find_spec(module) is not None
        except ImportError:  # of a package above it
            is_there = False
        if not is_there:
            raise PreflightError(
                f"target azureml needs the package that has {module}",
                hint="pip install 'innereye-runtime[azureml]'",
            )


def _quieten() -> None:
    """Keeps the Azure packages' own remarks out of what a user reads: what matters comes as an error."""
    for name in ("azure", "azure.ai.ml", "msrest"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for module in ("azure", "marshmallow", "opentelemetry", "pydash", "strictyaml", "pkg_resources"):
        warnings.filterwarnings("ignore", module=rf"{module}(\..*)?")
