"""An output in Azure's blob storage, `azure://ACCOUNT/CONTAINER/PATH`, through Azure's own SDK.

Each blob is written on condition that it is still the version that this process read or wrote last. So of two that
continue the same run, one can't write the next index, and nothing that counts for the other one is replaced. The
writer of the newest index continues, and writes over what the other one left beside it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.data.sources.credentials import access
from innereye_runtime.errors import PreflightError
from innereye_runtime.redaction import redacted
from innereye_runtime.run.staged_store import INDEXES, RefusedByStoreError, Store, StoreError, TakenOverError, place_of

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobClient, ContainerClient

_BLOCK = 4 << 20
_SECONDS = 30.0
"""In which a connection is made or a block is sent, and how long an answer may take. Several are sent at a time: a slow
line needs small ones."""
_TAKEN = (409, 412)


class BlobStore(Store):
    """The folder of one run in a container. `writer` is in the metadata of what it writes: an answer that was lost
    is not mistaken for another writer.
    """

    ABSENT = FileNotFoundError

    def __init__(self, url: BlobUrl, *, writer: str = "") -> None:
        self._url = url
        self._writer = f"{writer}.{token_hex(8)}" if writer else ""  # of this process: another one is another writer
        self._versions: dict[str, str] | None = None
        self._made: ContainerClient | None = None

    def __str__(self) -> str:
        return str(self._url)

    def check(self) -> None:
        """Nothing for a store that answers, has the container, and accepts the credential.

        Raises:
            PreflightError: it does not.
        """
        try:
            with _mapped(str(self)):
                next(iter(self._container().list_blobs(name_starts_with=self._prefix, results_per_page=1)), None)
        except OSError as error:
            raise PreflightError(
                f"the output {self} can't be used: {error}",
                hint="check the names, the network and what the credential allows: it has to list, read and write",
            ) from error

    def write(self, name: str, source: Path, advanced: Callable[[int], None]) -> tuple[int, str]:
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size  # what is appended meanwhile is for the next copy
            content = _HashedReader(file, size, advanced)
            self._upload(name, content, size)
            if content.count != size:
                raise StoreError(f"{name} was cut short while it was copied")
            return size, content.digest.hexdigest()

    def write_bytes(self, name: str, content: bytes) -> None:
        self._upload(name, content, len(content))

    def read_bytes(self, name: str) -> bytes:
        with _mapped(name):
            download = self.blob(name).download_blob()
            content: bytes = download.readall()
        # What is written next to this name builds on what was just read.
        self._known()[name] = str(download.properties.etag)
        return content

    def names(self) -> list[str]:
        return [*self._list()]

    def copy_out(self, name: str, target: Path) -> None:
        with _mapped(name), target.open("wb") as file:
            self.blob(name).download_blob(max_concurrency=2).readinto(file)

    def remove_second_places(self, names: Iterable[str]) -> None:
        from azure.core import MatchConditions

        with suppress(OSError):  # a credential may write and not delete; what is left does no harm
            for name in names:
                place = place_of(name, 1)
                if version := self._known().get(place):  # another writer's stays
                    with _mapped(place):
                        self.blob(place).delete_blob(etag=version, match_condition=MatchConditions.IfNotModified)
                    del self._known()[place]

    def blob(self, name: str) -> BlobClient:
        """The SDK's client of one blob.

        Raises:
            PreflightError: the SDK is not installed, or there is no credential.
        """
        return self._container().get_blob_client(self._prefix + name)

    def _upload(self, name: str, content: Any, size: int) -> None:
        """Writes a whole blob. With `validate_content` the service compares the MD5 of each block with what arrived,
        and refuses a block that differs; a list of blocks is put in place at once. So what is there is what was sent,
        and only its size is left to be asked for.
        """
        from azure.core import MatchConditions

        version = self._known().get(name)
        condition: dict[str, Any] = {"overwrite": False}  # if there is none yet
        if version is not None:
            condition = {"overwrite": True, "etag": version, "match_condition": MatchConditions.IfNotModified}
        try:
            with _mapped(name):
                blob = self.blob(name)
                answer = blob.upload_blob(
                    content,
                    length=size,
                    validate_content=True,
                    max_concurrency=2,
                    metadata={"writer": self._writer} if self._writer else None,
                    **condition,
                )
                found = blob.get_blob_properties()
        except _ConflictError as error:
            self._settle_conflict(name, error)
        if (found.etag, found.size) != (answer["etag"], size):
            raise StoreError(f"{name} was written with {size:,} bytes, and is not there as it was written")
        self._known()[name] = answer["etag"]

    def _settle_conflict(self, name: str, conflict: _ConflictError) -> None:
        """Raises what a condition that does not hold means.

        Raises:
            TakenOverError: another process wrote the newest index.
            StoreError: it did not, and the next write knows the blob's version: the answer to this process's own write
                was lost, or a process that was overtaken left the blob before it learned of that, or it was removed.
        """
        try:
            version, is_own = self._version(name)
        except FileNotFoundError:
            self._known().pop(name, None)
            raise StoreError(f"{name} was removed from {self}") from conflict
        if not is_own:
            for other in INDEXES if name not in INDEXES else (name,):
                self._ensure_own(other, conflict)
        self._known()[name] = version
        raise StoreError(f"{name} is not what this process left in {self}") from conflict

    def _ensure_own(self, index: str, conflict: _ConflictError) -> None:
        version, is_own = "", False
        with suppress(FileNotFoundError):
            version, is_own = self._version(index)
        if not self._writer or not (is_own or version == self._known().get(index, "")):
            raise TakenOverError(f"another process writes to {self}: {index} is not what this one left") from conflict

    def _version(self, name: str) -> tuple[str, bool]:
        """That of a blob, and whether this process wrote it."""
        with _mapped(name):
            found = self.blob(name).get_blob_properties()
        return str(found.etag), bool(self._writer) and (found.metadata or {}).get("writer") == self._writer

    def _known(self) -> dict[str, str]:
        if self._versions is None:
            self._versions = self._list()
        return self._versions

    def _list(self) -> dict[str, str]:
        """The version of each blob, by name."""
        prefix = self._prefix
        with _mapped(str(self)):
            blobs = self._container().list_blobs(name_starts_with=prefix)
            return {blob.name.removeprefix(prefix): str(blob.etag) for blob in blobs if blob.name != prefix}

    @property
    def _prefix(self) -> str:
        return f"{self._url.path}/" if self._url.path else ""

    def _container(self) -> ContainerClient:
        if self._made is None:
            try:
                from azure.storage.blob import ContainerClient, LinearRetry
            except ImportError:
                raise PreflightError(
                    f"{self} needs azure-storage-blob, which is not installed",
                    hint="pip install 'innereye-runtime[blobs]'",
                ) from None
            reached = access(self._url.account)
            self._made = ContainerClient(
                reached.endpoint,
                self._url.container,
                credential=reached.for_sdk(),
                max_single_put_size=_BLOCK,
                max_block_size=_BLOCK,
                retry_policy=LinearRetry(backoff=1, retry_total=2, random_jitter_range=0),  # `Mirror` tries again
                connection_timeout=_SECONDS,  # also that of sending, for which there is no other
                read_timeout=_SECONDS,
            )
        return self._made


class _HashedReader:
    """The first `size` bytes of a file, with the digest of what was read. Without `seek`: what the SDK sends again, it
    has kept."""

    def __init__(self, file: Any, size: int, advanced: Callable[[int], None]) -> None:
        self._file = file
        self._left = size
        self._advanced = advanced
        self.digest = hashlib.sha256()
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        self.count += len(piece)
        self.digest.update(piece)
        self._advanced(len(piece))
        return piece


class _ConflictError(StoreError):
    """A condition of a write does not hold."""


@contextmanager
def _mapped(what: str) -> Iterator[None]:
    """What the SDK raises, as the errors of a store; without the query of a URL, which may be signed.

    Raises:
        FileNotFoundError: there is no such blob.
        OSError: anything else.
    """
    from azure.core.exceptions import AzureError, HttpResponseError

    try:
        yield
    except HttpResponseError as error:
        raise _meaning(error, what) from None
    except AzureError as error:
        raise StoreError(f"{what}: {_said(error)}") from None
    except (TypeError, ValueError) as error:  # how the SDK says that a stream ended early
        raise StoreError(f"{what}: {_said(error)}") from None


def _meaning(error: HttpResponseError, what: str) -> OSError:
    code = getattr(error, "error_code", None) or error.reason or ""
    code = str(getattr(code, "value", code))
    said = f"{what}: {error.status_code} {code}".rstrip()
    match error.status_code:
        case 404 if code != "ContainerNotFound":
            return FileNotFoundError(said)
        case 404 | 401 | 403:
            return RefusedByStoreError(said)
        case status if status in _TAKEN and code in ("ConditionNotMet", "BlobAlreadyExists"):
            return _ConflictError(said)
    return StoreError(said)


def _said(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return redacted(re.sub(r"\?\S*", "", lines[0]))[:300]
