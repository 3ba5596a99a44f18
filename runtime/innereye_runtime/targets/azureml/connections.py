"""HTTPS connections to Azure's services, kept open between requests: by the standard library alone, as a process that
follows a job for days has to be small. Proxies and certificates come from the variables that Azure's packages read.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import weakref
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.azureml.service_error import ServiceError, SignInError

CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The variables that name a file or a folder of authorities; the first one counts."""
PATIENCE_SECONDS = 60.0
"""How long a connection may be silent."""
_BROKEN = (http.client.HTTPException, OSError)


class Answer:
    """What a service answers, to be read once."""

    def __init__(self, response: http.client.HTTPResponse, host: str) -> None:
        self._response = response
        self._host = host
        self.headers: Mapping[str, str] = response.headers  # type: ignore[assignment]

    def read(self, most: int | None = None) -> bytes:
        """All that is left of it, or at `most` that many bytes; none at its end.

        Raises:
            ServiceError: the connection broke before.
        """
        left = self._response.length
        try:
            data = self._response.read(most)
        except _BROKEN as error:
            raise ServiceError(f"{self._host}: {_said(error)}") from error
        if not data and left and most:
            raise ServiceError(f"{self._host}: the connection ended {left:,} bytes too early")
        return data


class Connections:
    """Any number of threads may ask at the same time: each request has a connection to itself."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)

    @contextmanager
    def response(self, verb: str, url: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """The answer to a request that may be sent twice, to be read inside of the block.

        Raises:
            PreflightError: the proxy that the environment names can't be used.
            ServiceError: the service says no, or the connection breaks, also while the answer is read.
        """
        parts = urlsplit(url)
        place = (parts.scheme, parts.netloc)
        try:
            connection, answer = self._ask(place, verb, url, headers)
        except _BROKEN as error:
            raise ServiceError(f"{parts.hostname}: {_said(error)}") from error
        is_reusable = False
        try:
            if answer.status >= 400:
                raise _refusal(answer, str(parts.hostname))
            yield Answer(answer, str(parts.hostname))
            is_reusable = answer.isclosed()  # read to its end, and the service keeps the connection
        finally:
            if is_reusable:
                with self._lock:
                    self._idle.setdefault(place, []).append(connection)
            else:
                connection.close()

    def _ask(
        self, place: tuple[str, str], verb: str, url: str, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        with self._lock:
            idle = self._idle.get(place)
            kept = idle.pop() if idle else None
        if kept is not None:
            try:
                return kept, _exchange(kept, verb, url, headers)
            except _BROKEN:
                kept.close()  # the service has closed it since
        connection = self._connect(*place)
        try:
            return connection, _exchange(connection, verb, url, headers)
        except BaseException:
            connection.close()
            raise

    def _connect(self, scheme: str, host: str) -> http.client.HTTPConnection:
        proxy = None if proxy_bypass(host) else getproxies().get(scheme)
        if scheme == "http":
            return http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)
        if not proxy:
            return http.client.HTTPSConnection(host, timeout=PATIENCE_SECONDS, context=self._context)
        parts = urlsplit(proxy if "//" in proxy else f"http://{proxy}")
        if parts.scheme != "http" or not parts.hostname:
            raise PreflightError(
                f"the proxy for {scheme} is one of {parts.scheme}, and only HTTP can be used",
                hint=f"name an HTTP proxy in {scheme.upper()}_PROXY, or the host in NO_PROXY",
            )
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or 80, timeout=PATIENCE_SECONDS, context=self._context
        )
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
        basic = {"Proxy-Authorization": f"Basic {b64encode(secret.encode()).decode()}"} if secret else {}
        name, _, port = host.partition(":")
        connection.set_tunnel(name, int(port or 443), headers=basic)
        return connection

    @cached_property
    def _context(self) -> ssl.SSLContext:
        named = next((os.environ[name] for name in CERTIFICATES if os.environ.get(name)), "")
        if not named:
            with suppress(ImportError):
                import certifi

                named = certifi.where()
        is_folder = bool(named) and Path(named).is_dir()
        return ssl.create_default_context(
            cafile=None if is_folder else named or None, capath=named if is_folder else None
        )


def _close(idle: Mapping[tuple[str, str], list[http.client.HTTPConnection]]) -> None:
    for connections in idle.values():
        for connection in connections:
            connection.close()


def _exchange(
    connection: http.client.HTTPConnection, verb: str, url: str, headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    connection.request(verb, target, headers=dict(headers), body=b"" if verb == "POST" else None)
    return connection.getresponse()


def _refusal(answer: http.client.HTTPResponse, host: str) -> ServiceError:
    """The error that an answer is. Of its text, the service's own message: in JSON, or as a blob store has it."""
    text, code = Answer(answer, host).read(100_000).decode(errors="replace"), answer.headers.get("x-ms-error-code", "")
    message = ""
    with suppress(ValueError, AttributeError, TypeError):
        error = json.loads(text)["error"]
        code, message = code or str(error.get("code") or ""), str(error.get("message") or "")
    if not message and "<Message>" in text:
        message = text.partition("<Message>")[2].partition("</Message>")[0]
    said = f"({code}) {message}" if code and message else message or code or f"{answer.status} {answer.reason}"
    kind = SignInError if answer.status == HTTPStatus.UNAUTHORIZED else ServiceError
    wait = answer.headers.get("Retry-After", "")
    return kind(said, answer.status, code, float(wait) if wait.isdigit() else 0.0)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
