"""Requests to the Docker engine and its answers, over its HTTP API.

Spoken with the standard library: importing an SDK takes longer than all that the engine is asked. Each request has a
connection of its own, so that any thread may ask, and is of HTTP/1.0: the engine then ends an answer by closing the
connection, and one that goes on for days (a log, a wait) is read like any other.
Source: https://docs.docker.com/reference/api/engine
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedReader
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode

from innereye_runtime.targets.docker.endpoint import Address

SECONDS = 60
"""For one answer of the engine. Waiting for a container's end and following its output have no such bound."""

Chunk = tuple[bytes | None, bytes | None]
"""A piece of a container's standard output or of its standard error, the other being None."""


class RefusedError(Exception):
    """The engine answered, and said no. `str()` is what it said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def not_found(self) -> bool:
        return self.status == 404


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineClient:
    """An engine that has answered. Every method raises RefusedError, and OSError where the engine is gone."""

    address: Address
    api_version: str
    """The newest that the engine speaks: its own."""

    @classmethod
    def connect(cls, address: Address) -> EngineClient:
        with Answer(address, "GET", "/_ping") as answer:
            return cls(address=address, api_version=answer.headers.get("api-version", ""))

    def get(self, path: str, **query: object) -> Any:
        return self._answer("GET", path, query).json()

    def post(self, path: str, body: object = None, *, timeout: float | None = SECONDS, **query: object) -> Any:
        return self._answer("POST", path, query, body, timeout).json()

    def delete(self, path: str, **query: object) -> None:
        self._answer("DELETE", path, query).json()

    def stream(self, method: str, path: str, **query: object) -> Iterator[Chunk]:
        """The output of a container, as it comes, until the engine ends it. It has been asked for when this returns."""
        return self._answer(method, path, query, timeout=None).chunks()

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: object = None,
        timeout: float | None = SECONDS,
    ) -> Answer:
        place = f"/v{self.api_version}{quote(path, safe='/:@')}?{urlencode(query)}"
        return Answer(self.address, method, place, body=body, timeout=timeout)


@dataclass(slots=True)
class Answer:
    """What the engine answers to one request, from its headers on. Closed when it was read."""

    address: Address
    method: str
    path: str
    body: object = field(default=None, kw_only=True)
    timeout: float | None = field(default=SECONDS, kw_only=True)
    status: int = field(init=False)
    headers: dict[str, str] = field(init=False, default_factory=dict)
    """By their names in lower case."""
    _connection: socket.socket = field(init=False)
    _content: BufferedReader = field(init=False)

    def __post_init__(self) -> None:
        self._connection = self.address.open(self.timeout)
        self._content = self._connection.makefile("rb")
        try:
            self._ask()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Answer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._content.close()
        self._connection.close()

    def json(self) -> Any:
        """The data of the answer; None where it has none."""
        with self:
            text = self._content.read()
        try:
            return json.loads(text) if text or self.status == 200 else None
        except ValueError:
            raise ConnectionError("the engine ended in the middle of its answer") from None

    def chunks(self) -> Iterator[Chunk]:
        """Source: "Stream format" of attach, in the API's reference."""
        with self:
            while header := self._content.read(8):
                data = self._content.read(int.from_bytes(header[4:], "big"))
                yield (None, data) if header[0] == 2 else (data, None)

    def _ask(self) -> None:
        body = b"" if self.body is None else json.dumps(self.body).encode()
        head = (
            f"{self.method} {self.path} HTTP/1.0\r\nHost: docker\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + body)
        protocol, _, rest = self._content.readline().partition(b" ")
        if not protocol.startswith(b"HTTP/") or not rest[:3].isdigit():
            raise ConnectionError("what answers there is no Docker engine")
        self.status = int(rest[:3])
        while line := self._content.readline().decode("latin-1").strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        if self.status >= 400:
            raise RefusedError(self.status, _message(self._content.read()))


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.decode(errors="replace").strip()
