"""The right to write to a remote run: a lease on one of its blobs, which ends by itself when its holder is killed."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import OutputError, UsageError
from innereye_runtime.run.blob_store import BlobStore
from innereye_runtime.run.staged_store import STAGING

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, BlobLeaseClient

NAME = f"{STAGING}/writer"
SECONDS = 30
"""How long a lease lasts that is not renewed."""
_RENEW_SECONDS = 10.0
_POLL_SECONDS = 1.0
_PROMPT = 5.0
"""How long a release waits for an answer."""


class WriterLease:
    """Held from `acquire` to `release`, and renewed by a thread between the two."""

    def __init__(self, store: BlobStore, *, previous: str = "", report: Callable[[str], None]) -> None:
        """`previous`: the id of the lease of a process that is known to be gone. It need not be waited for."""
        self.id = str(uuid.uuid4())
        self._store = store
        self._previous = previous
        self._report = report
        self._ended = threading.Event()
        self._lease: BlobLeaseClient | None = None

    def acquire(self) -> None:
        """Returns when nobody else writes to the run.

        Raises:
            OutputError: the store can't be written.
            UsageError: somebody else does, and renews a lease.
        """
        from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
        from azure.storage.blob import BlobLeaseClient

        blob = self._store.blob(NAME)
        deadline, waits = time.monotonic() + SECONDS + 5, False
        while True:
            try:
                lease = self._taken_over(blob) or BlobLeaseClient(blob, lease_id=self.id)
                lease.acquire(lease_duration=SECONDS)
                break
            except ResourceNotFoundError:
                self._create(blob)
                continue
            except HttpResponseError as error:
                if error.status_code not in (409, 412):
                    raise self._unwritable(error) from None
                if time.monotonic() > deadline:
                    raise UsageError(
                        f"another process writes to {self._store}",
                        hint="stop it where it runs: innereye-run stop RUN; then resume the run here",
                    ) from None
            except AzureError as error:
                raise self._unwritable(error) from None
            if not waits:
                self._report(
                    f"another process writes to {self._store}, or was killed less than {SECONDS} s ago: waiting"
                )
                waits = True
            time.sleep(_POLL_SECONDS)
        self._lease = lease
        threading.Thread(target=self._renew, args=(lease,), daemon=True, name="lease").start()

    def release(self) -> None:
        """Lets others write to the run. Where that can't be said, they wait until the lease has ended."""
        from azure.core.exceptions import AzureError

        self._ended.set()
        if self._lease is not None:
            with suppress(AzureError):
                self._lease.release(connection_timeout=_PROMPT, read_timeout=_PROMPT, retry_total=0)
            self._lease = None

    def _taken_over(self, blob: BlobClient) -> BlobLeaseClient | None:
        """The lease of the process before, under the id of this one, where that has not ended yet."""
        from azure.core.exceptions import AzureError
        from azure.storage.blob import BlobLeaseClient

        if not self._previous:
            return None
        lease, self._previous = BlobLeaseClient(blob, lease_id=self._previous), ""
        with suppress(AzureError):
            lease.change(self.id)
            return lease
        return None

    def _renew(self, lease: Any) -> None:
        """A lease that is lost is not reported: the first write after another process's finds out."""
        from azure.core.exceptions import AzureError

        while not self._ended.wait(_RENEW_SECONDS):
            with suppress(AzureError):
                lease.renew()

    def _create(self, blob: BlobClient) -> None:
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            with suppress(ResourceExistsError):  # another process made it meanwhile
                blob.upload_blob(b"", overwrite=False)
        except AzureError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: Exception) -> OutputError:
        code = getattr(error, "status_code", None) or type(error).__name__
        return OutputError(
            f"the output {self._store} can't be written: {code}",
            hint="check what the credential allows: it has to list, read and write",
        )
