"""A folder of blobs as a source: `azure://account/container/path`. Everything that obstore raises is mapped here."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from innereye_runtime.data.sources.credentials import Access, access
from innereye_runtime.data.sources.source import Buffer, FileEntry, SourceChangedError, validate_listing
from innereye_runtime.errors import DataError, PreflightError

if TYPE_CHECKING:
    from obstore.store import AzureStore

T = TypeVar("T")
Items = list[FileEntry]  # in the class, `list` is the method
Names = list[str]

_URL = re.compile(r"azure://(?P<account>[a-z0-9]{3,24})/(?P<container>\$?[a-z0-9-]{3,63})(?:/(?P<path>.*))?")
_STATUS = re.compile(r"status code: (\d{3})([\w ]*)")
_PAGE = 5000
"""The most that the store lists at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How long a request is tried. A request ends after `silent` seconds without a byte, or `longest` seconds in all;
    no new one begins after `total` seconds or `tries` tries.
    """

    silent: float = 30.0
    longest: float = 600.0
    total: float = 180.0
    tries: int = 8
    pause: float = 0.25
    """Before the second try; doubled before each further one, up to 10 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobUrl:
    account: str
    container: str
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> BlobUrl:
        """The URL that `text` is.

        Raises:
            DataError: it is none.
        """
        match = _URL.fullmatch(text)
        if match is None:
            raise DataError(
                f"'{text}' names no folder of blobs",
                hint="write azure://ACCOUNT/CONTAINER/PATH, with the names that Azure has",
            )
        path = (match["path"] or "").strip("/")
        return cls(account=match["account"], container=match["container"], path=path)

    def __str__(self) -> str:
        return f"azure://{self.account}/{self.container}" + (f"/{self.path}" if self.path else "")


class BlobSource:
    """A folder of blobs. Reads are pinned to the version that was listed, by its etag."""

    def __init__(self, url: BlobUrl, *, reached: Access | None = None, patience: RetryPolicy | None = None) -> None:
        self._url = url
        self._access = reached or access(url.account)
        self._patience = patience or RetryPolicy()
        self._store_made: AzureStore | None = None

    @property
    def url(self) -> str:
        return str(self._url)

    @property
    def location(self) -> BlobUrl:
        return self._url

    @property
    def access(self) -> Access:
        return self._access

    def list(self) -> Items:
        def pages() -> Items:
            import obstore

            return [
                FileEntry(blob["path"], blob["size"], blob["e_tag"] or blob["last_modified"].isoformat())
                for page in obstore.list(self._store(), chunk_size=_PAGE)
                for blob in page
            ]

        items = validate_listing(self._tried(pages, self.url), self.url)
        if not items:
            raise DataError(
                f"there are no blobs below {self.url}",
                hint="look at the path: case matters, and it is a whole folder name",
            )
        return items

    def folders(self) -> Names:
        """The names of the folders right below, sorted.

        Raises:
            DataError: as `list`.
        """

        def page() -> Names:
            import obstore

            return [*obstore.list_with_delimiter(self._store())["common_prefixes"]]

        return sorted(self._tried(page, self.url))

    def read(self, item: FileEntry, start: int, length: int) -> Buffer:
        def ranged() -> Buffer:
            import obstore

            options: dict[str, Any] = {"if_match": item.version}
            if length != item.size:
                options["range"] = (start, start + length)
            content = obstore.get(self._store(), item.name, options=options).bytes()  # type: ignore[arg-type]
            if len(content) != length:
                raise _TruncatedReadError(f"{len(content):,} of {length:,} bytes were received")
            return content

        return self._tried(ranged, f"{self.url}/{item.name}")

    def _store(self) -> AzureStore:
        if self._store_made is None:
            try:
                from obstore.store import AzureStore
            except ImportError:
                raise PreflightError(
                    f"{self.url} needs obstore, which is not installed", hint="pip install 'innereye-runtime[blobs]'"
                ) from None
            self._store_made = AzureStore(
                self._url.container,
                prefix=self._url.path or None,
                config={"account_name": self._url.account, "endpoint": self._access.endpoint},
                client_options={
                    "allow_http": self._access.endpoint.startswith("http://"),
                    "timeout": timedelta(seconds=self._patience.longest),
                    "read_timeout": timedelta(seconds=self._patience.silent),
                    "connect_timeout": timedelta(seconds=min(10.0, self._patience.silent)),
                },
                retry_config={"max_retries": 0},  # `_tried` is the one place that tries again
                credential_provider=self._access.provider(),
            )
        return self._store_made

    def _tried(self, request: Callable[[], T], what: str) -> T:
        """What `request` returns, tried again while its failure may pass."""
        from obstore.exceptions import BaseError

        patience, started = self._patience, time.monotonic()
        for attempt in range(1, patience.tries + 1):
            try:
                return request()
            except (BaseError, OSError, _TruncatedReadError) as error:
                meaning, said = _meaning(error), _error_message(error)
                if meaning == "changed" or (meaning == "missing" and what != self.url):
                    raise SourceChangedError(what) from error
                if meaning != "may pass":
                    raise self._refusal(meaning, what, said) from error
                pause = min(10.0, patience.pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                waited = time.monotonic() - started
                if attempt == patience.tries or waited + pause > patience.total:
                    raise DataError(
                        f"{what} can't be read, after {attempt} tries in {waited:.0f} s: {said}",
                        hint="look at the network and the store, and start again: what was fetched is kept",
                    ) from error
                time.sleep(pause)
        raise AssertionError("a try either returns or raises")

    def _refusal(self, meaning: str, what: str, said: str) -> DataError:
        match meaning:
            case "missing":
                container = f"azure://{self._url.account}/{self._url.container}"
                return DataError(f"there is no {container}: {said}", hint="look at the names of account and container")
            case "refused":
                return DataError(
                    f"{what}: the store refuses {self._access.how}: {said}",
                    hint="look at what it may do (it has to list and read) and when it ends",
                )
            case "name":
                return DataError(
                    f"{what} holds a blob whose name can't be a file: {said}", hint="rename or delete it in the store"
                )
            case _:
                return DataError(f"{what} can't be read: {said}")


class _TruncatedReadError(Exception):
    """Fewer bytes were received than the store has."""


def _meaning(error: Exception) -> str:
    """What a failed request is: changed, missing, refused, name, final, or one that may pass.

    obstore has exceptions of its own for some of these when it reads a blob (for a missing one Python's), and the
    status alone when it lists.
    """
    from obstore import exceptions

    match error:
        case exceptions.PreconditionError() | exceptions.NotModifiedError():
            return "changed"
        case exceptions.NotFoundError() | FileNotFoundError():
            return "missing"
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError():
            return "refused"
        case exceptions.InvalidPathError():
            return "name"
        case exceptions.NotSupportedError() | exceptions.UnknownConfigurationKeyError():
            return "final"
    found = _STATUS.search(str(error))
    match int(found[1]) if found else 0:
        case 401 | 403:
            return "refused"
        case 404:
            return "missing"
        case 409 | 412:
            return "changed"
        case status if 400 <= status < 500 and status not in (408, 429):
            return "final"
    return "may pass"


def _error_message(error: Exception) -> str:
    """What the store said, in a few words, and nothing of a URL's query, which may be signed."""
    text = str(error)
    status, code = _STATUS.search(text), re.search(r"<Code>(\w+)</Code>", text)
    if status:
        return f"{status[1]} {status[2].strip()}" + (f" ({code[1]})" if code else "")
    line = re.sub(r"\?\S*", "", text.split("\n\nDebug source", 1)[0])
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
    return line.removeprefix("Generic MicrosoftAzure error: ")[:300]
