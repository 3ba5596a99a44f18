"""Reading the blobs of a container over the service's REST API. Whatever writes there goes through azure-storage-blob,
which takes 30 MB to import.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha256
from typing import BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree

from innereye_runtime.targets.azureml.connections import Connections
from innereye_runtime.targets.azureml.service_error import ServiceError

VERSION = "2021-12-02"
"""Of the API."""
SCOPE = "https://storage.azure.com/.default"
PIECE = 256 << 10
"""Bytes of a blob that are in memory at a time, for each that is downloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedBlob:
    name: str
    size: int
    is_folder: bool
    """It only marks a folder, as a mount writes them."""


class BlobReader:
    """One container. Methods raise `ServiceError`."""

    def __init__(
        self,
        connections: Connections,
        url: str,
        *,
        account: str = "",
        secret: str | None = None,
        token: Callable[[str], str] | None = None,
    ) -> None:
        """`secret`: the key of the `account`, or a signature; None: what `token` gives for a scope opens it."""
        self._connections = connections
        self._url = url.rstrip("/")
        self._account = account
        self._secret = secret or ""
        self._token = token

    def list(self, prefix: str, *, most: int = 1000) -> Iterator[ListedBlob]:
        """Those whose names begin with `prefix`, in the order of their names; asked for `most` at a time."""
        query = {"restype": "container", "comp": "list", "prefix": prefix, "include": "metadata"}
        marker: str | None = ""
        while marker is not None:
            page = {**query, "maxresults": str(most), **({"marker": marker} if marker else {})}
            url, headers = self._request("", page)
            with self._connections.response("GET", url, headers) as answer:
                root = ElementTree.fromstring(answer.read())
            yield from map(_listed, root.iterfind("Blobs/Blob"))
            marker = root.findtext("NextMarker") or None

    def read(self, name: str, start: int = 0) -> bytes:
        """The bytes of a blob from `start` on."""
        url, headers = self._request(name, {}, {"Range": f"bytes={start}-"} if start else {})
        with self._connections.response("GET", url, headers) as answer:
            return answer.read()

    def fetch(self, name: str, file: BinaryIO) -> None:
        """Writes a blob to `file`. Where the connection breaks on the way, the rest of the same version is asked for,
        as long as each answer brings more of it.
        """
        version = ""
        while True:
            start = file.tell()
            own = {"If-Match": version, "Range": f"bytes={start}-"} if start else {}
            url, headers = self._request(name, {}, own)
            try:
                with self._connections.response("GET", url, headers) as answer:
                    version = answer.headers.get("ETag", "")
                    while piece := answer.read(PIECE):
                        file.write(piece)
                    return
            except ServiceError as error:
                if error.status_code is not None or file.tell() == start:
                    raise

    def _request(self, name: str, query: Mapping[str, str], own: Mapping[str, str] = {}) -> tuple[str, dict[str, str]]:
        """The URL of a GET and its headers, signed."""
        url = f"{self._url}/{quote(name)}" if name else self._url
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": VERSION, **own}
        if "sig=" in self._secret:
            query = {**query, **dict(parse_qsl(self._secret.lstrip("?"), keep_blank_values=True))}
        elif self._secret:
            headers["Authorization"] = _signature(self._account, self._secret, urlsplit(url).path, query, headers)
        elif self._token is not None:
            headers["Authorization"] = f"Bearer {self._token(SCOPE)}"
        return (f"{url}?{urlencode(query)}" if query else url), headers


def _signature(account: str, key: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The value of Authorization for a GET of `account` without a body."""
    fields = ["GET", *[""] * 7, headers.get("If-Match", ""), *[""] * 2, headers.get("Range", "")]
    own = [f"{name}:{headers[name]}" for name in sorted(headers) if name.startswith("x-ms-")]
    resource = [f"/{account}{path}", *(f"{name}:{query[name]}" for name in sorted(query))]
    text = "\n".join([*fields, *own, *resource])
    digest = hmac.new(b64decode(key), text.encode(), sha256).digest()
    return f"SharedKey {account}:{b64encode(digest).decode()}"


def _listed(blob: ElementTree.Element) -> ListedBlob:
    name = blob.find("Name")
    assert name is not None
    text = name.text or ""
    return ListedBlob(
        name=unquote(text) if name.get("Encoded") == "true" else text,
        size=int(blob.findtext("Properties/Content-Length") or 0),
        is_folder=blob.find("Metadata/hdi_isfolder") is not None,
    )
