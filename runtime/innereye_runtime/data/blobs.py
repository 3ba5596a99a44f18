"""A folder of blobs as a source: `azure://account/container/path`. Everything that obstore raises is mapped here."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from innereye_runtime.data.credentials import Access, access
from innereye_runtime.data.source import Buffer, ChangedError, Item, checked
from innereye_runtime.errors import DataError, PreflightError

if TYPE_CHECKING:
    from obstore.store import AzureStore

T = TypeVar("T")

_URL = re.compile(r"azure://(?P<account>[a-z0-9]{3,24})/(?P<container>\$?[a-z0-9-]{3,63})(?:/(?P<path>.*))?")
_PAGE = 5000
"""The most that the store lists at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
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

    def __init__(self, url: BlobUrl, *, reached: Access | None = None, patience: Patience | None = None) -> None:
        self._url = url
        self._access = reached or access(url.account)
        self._patience = patience or Patience()
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

    def list(self) -> list[Item]:
        def pages() -> list[Item]:
            import obstore

            return [
                Item(blob["path"], blob["size"], blob["e_tag"] or blob["last_modified"].isoformat())
                for page in obstore.list(self._store(), chunk_size=_PAGE)
                for blob in page
            ]

        items = checked(self._tried(pages, self.url), self.url)
        if not items:
            raise DataError(
                f"there are no blobs below {self.url}",
                hint="look at the path: case matters, and it is a whole folder name",
            )
        return items

    def read(self, item: Item, start: int, length: int) -> Buffer:
        def ranged() -> Buffer:
            import obstore

            options: dict[str, Any] = {"if_match": item.version}
            if length != item.size:
                options["range"] = (start, start + length)
            content = obstore.get(self._store(), item.name, options=options).bytes()  # type: ignore[arg-type]
            if len(content) != length:
                raise _ShortError(f"{len(content):,} of {length:,} bytes came")
            return content

        return self._tried(ranged, f"{self.url}/{item.name}")

    def _store(self) -> AzureStore:
        if self._store_made is None:
            try:
                from obstore.store import AzureStore
            except ImportError:
                raise PreflightError(
                    f"{self.url} needs obstore, which is not installed", hint="pip install 'innereye-runtime[azureml]'"
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
        from obstore import exceptions

        patience, started = self._patience, time.monotonic()
        for attempt in range(1, patience.tries + 1):
            try:
                return request()
            except (exceptions.PreconditionError, exceptions.NotModifiedError) as error:
                raise ChangedError(what) from error
            except exceptions.NotFoundError as error:
                raise self._not_found(what, error) from error
            except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
                raise DataError(
                    f"{what}: the store refuses {self._access.how}: {_first_line(error)}",
                    hint="look at what it may do (it has to list and read) and when it ends",
                ) from error
            except exceptions.InvalidPathError as error:
                raise DataError(
                    f"{what} holds a blob whose name can't be a file: {_first_line(error)}",
                    hint="rename or delete it in the store",
                ) from error
            except (exceptions.BaseError, _ShortError) as error:
                pause = min(10.0, patience.pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0)
                waited = time.monotonic() - started
                if not _may_pass(error) or attempt == patience.tries or waited + pause > patience.total:
                    raise DataError(
                        f"{what} can't be read, after {attempt} tries in {waited:.0f} s: {_first_line(error)}",
                        hint="look at the network and the store, and start again: what was fetched is kept",
                    ) from error
                time.sleep(pause)
        raise AssertionError("a try either returns or raises")

    def _not_found(self, what: str, error: Exception) -> Exception:
        if what != self.url:
            return ChangedError(what)
        container = f"azure://{self._url.account}/{self._url.container}"
        return DataError(
            f"there is no {container}: {_first_line(error)}", hint="look at the names of account and container"
        )


class _ShortError(Exception):
    """Fewer bytes came than the store has."""


def _may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later: a refusal (4xx) stays one, but for time-out and throttling."""
    status = re.search(r"status code: (\d{3})", str(error))
    return status is None or status[1][0] != "4" or status[1] in ("408", "429")


def _first_line(error: Exception) -> str:
    """What obstore says, on one line and without the query of a URL, which may be signed."""
    line = str(error).split("\n", 1)[0]
    return re.sub(r"\?\S*", "", line).removeprefix("Generic MicrosoftAzure error: ")[:400]
