"""The connections to the services: through a proxy and without, kept and broken, refused and cut short."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.azureml import sign_in
from innereye_runtime.targets.azureml.blobs import BlobReader
from innereye_runtime.targets.azureml.connections import Connections
from innereye_runtime.targets.azureml.error_mapping import with_retries
from innereye_runtime.targets.azureml.service_error import ServiceError, SignInError
from innereye_runtime.targets.azureml.sign_in import SignIn, Token
from innereye_runtime.targets.azureml.workspace_api import WorkspaceApi

CONTENT = bytes(range(256)) * 4096


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[tuple[str, str | None, str | None]]] = []
    cuts: ClassVar[list[int]] = []
    """After how many bytes the next answers end."""
    peers: ClassVar[set[Any]] = set()

    def do_GET(self) -> None:
        self.peers.add(self.client_address)
        self.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Match")))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        match self.path:
            case "/refused":
                self._answer(401, b'{"error": {"code": "ExpiredToken", "message": "too old"}}')
            case "/busy":
                self._answer(429, b"", **{"Retry-After": "7"})
            case "/missing":
                self._answer(404, b"<Error><Message>not here\nId</Message></Error>", **{"x-ms-error-code": "No"})
            case _:
                self._answer(206 if start else 200, CONTENT[start:], ETag='"v1"')

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        cut = self.cuts.pop(0) if self.cuts else len(body)
        self.wfile.write(body[:cut])
        self.close_connection = cut < len(body)

    def log_message(self, *words: object) -> None:
        pass


def get(url: str, connections: Connections | None = None) -> bytes:
    with (connections or Connections()).response("GET", url, {}) as answer:
        return answer.read()


@pytest.fixture
def service() -> Iterator[str]:
    Handler.asked, Handler.cuts, Handler.peers = [], [], set()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_connection_is_kept_and_a_refusal_has_the_services_words(service: str) -> None:
    connections = Connections()
    assert [get(f"{service}/x", connections) for _ in range(3)] == [CONTENT] * 3
    assert len(Handler.peers) == 1
    with (
        pytest.raises(SignInError, match=r"^\(ExpiredToken\) too old$") as refused,
        connections.response("GET", f"{service}/refused", {}),
    ):
        pass
    assert refused.value.status_code == 401
    with pytest.raises(ServiceError) as busy:
        get(f"{service}/busy")
    assert (busy.value.status_code, busy.value.retry_after) == (429, 7.0)
    with (
        pytest.raises(ServiceError, match=r"^\(No\) not here") as missing,
        connections.response("GET", f"{service}/missing", {}),
    ):
        pass
    assert missing.value.error_code == "No"
    with (
        pytest.raises(ServiceError, match=r"^127\.0\.0\.1: ") as unreachable,
        connections.response("GET", "http://127.0.0.1:1/x", {}),
    ):
        pass
    assert unreachable.value.status_code is None


def test_a_blob_whose_connection_breaks_is_read_on_and_of_one_version(service: str) -> None:
    Handler.cuts = [300_000, 400_000]
    file = io.BytesIO()
    BlobReader(Connections(), service).fetch("x", file)
    assert file.getvalue() == CONTENT
    assert Handler.asked == [("/x", None, None), ("/x", "bytes=300000-", '"v1"'), ("/x", "bytes=700000-", '"v1"')]
    Handler.cuts = [0]
    with pytest.raises(ServiceError):  # nothing came: who asked decides
        BlobReader(Connections(), service).fetch("x", io.BytesIO())
    Handler.cuts = [10]
    with pytest.raises(ServiceError):
        BlobReader(Connections(), service).read("x")


def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:secret@proxy.example:1")
    with (
        pytest.raises(PreflightError, match="for https is one of socks5, and only HTTP can be used") as refused,
        Connections().response("GET", "https://management.azure.com/", {}),
    ):
        pass
    assert "secret" not in str(refused.value)


def test_a_token_is_kept_until_shortly_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [Token("short", 1_000), Token("first", 2_000), Token("second", 9_000), Token("other", 9_000)]
    asked: list[object] = []

    def run_apart(function: object, scope: str) -> Token:
        asked.append((function, scope))
        return given[len(asked) - 1]

    now = [0.0]
    monkeypatch.setattr(sign_in, "run_apart", run_apart)
    monkeypatch.setattr(sign_in.time, "time", lambda: now[0])
    login = SignIn()
    assert login.get_token("a").token == login.get_token("a", claims=None).token == "short"
    now[0] = 800.0
    assert login.get_token("a").token == "first"
    login.forget()
    assert login.get_token("a").token == "second"
    assert login.get_token("b").token == "other"
    assert asked == [(sign_in.fetch_token, scope) for scope in ("a", "a", "a", "b")]


def test_an_outage_when_a_token_is_renewed_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity reports it as a login that is refused, without an answer."""
    given: list[Token | SignInError] = [Token("first", 1_000), SignInError("no route"), SignInError("no route")]

    def run_apart(function: object, scope: str) -> Token:
        found = given.pop(0)
        if isinstance(found, SignInError):
            raise found
        return found

    now = [0.0]
    monkeypatch.setattr(sign_in, "run_apart", run_apart)
    monkeypatch.setattr(sign_in.time, "time", lambda: now[0])
    monkeypatch.setattr(sign_in, "_is_terminal", lambda: True)
    login = SignIn()
    assert login.get_token("a").token == "first"
    now[0] = 900.0
    assert login.get_token("a").token == "first"  # it is good for a while
    now[0] = 1_001.0
    with pytest.raises(ServiceError, match="no route") as failed:
        login.get_token("a")
    assert not isinstance(failed.value, SignInError)


def test_what_goes_wrong_in_a_process_apart_is_raised_here() -> None:
    from innereye_runtime.targets.azureml.apart import run_apart

    assert run_apart(divmod, 7, 2) == (3, 1)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run_apart(divmod, 7, 0)
    with pytest.raises(SignInError, match="no login") as refused:
        run_apart(exec, f"import {SignInError.__module__} as m; raise m.SignInError('no login', 401)")
    assert refused.value.status_code == 401


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/next", "http://management.azure.com/next", "https://xazureml.ms"]
)
def test_the_token_of_a_user_goes_to_azure_alone(url: str) -> None:
    class Answers(Connections):
        def response(self, verb: str, asked: str, headers: Mapping[str, str]) -> Any:
            hosts.append(urlsplit(asked).netloc)
            return nullcontext(
                io.BytesIO(json.dumps({"value": [], "nextLink": url if len(hosts) == 1 else None}).encode())
            )

    hosts = list[str]()
    api = WorkspaceApi(Answers(), lambda scope: "token", "subscription", "group", "workspace")
    with pytest.raises(PreflightError, match="which is not in Azure"):
        with_retries(lambda: next(api.jobs(tag="tag")))
    assert len(hosts) == 1, "it is no outage, and not tried again"
    assert set(hosts) == {"management.azure.com"}
    assert api.get("https://westeurope.api.azureml.ms/discovery")["value"] == []
