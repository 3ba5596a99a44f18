"""The engine's address, and requests to it: against a server that answers what each test says."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.endpoint import DEFAULT, Address
from innereye_runtime.targets.docker.engine import connect


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body


VERSION = ok(b'{"ApiVersion": "1.41"}')


class Server:
    """Answers one request after another with the bytes that it was given, None being silence, and keeps them. Each
    answer says that its connection is closed after it, as an engine's does where that was asked for."""

    def __init__(self, listener: socket.socket, answers: list[bytes | None]) -> None:
        self.requests: list[bytes] = []
        self._listener = listener
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):  # a client that hung up
            for answer in self._answers:
                connection, _ = self._listener.accept()
                with connection:
                    self.requests.append(_request(connection))
                    if answer is None:
                        connection.recv(1)  # until the client has had enough
                    else:
                        connection.sendall(answer.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))


def _request(connection: socket.socket) -> bytes:
    """With its body, which may come in a packet of its own."""
    text = connection.recv(1 << 16)
    head, _, body = text.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    while length is not None and len(body) < int(length[1]):
        more = connection.recv(1 << 16)
        text, body = text + more, body + more
    return text


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., tuple[Server, EngineClient]]]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve(*answers: bytes | None) -> tuple[Server, EngineClient]:
            server = Server(listener, [VERSION, *answers])
            return server, EngineClient.connect(Address(host=f"unix://{tmp_path / 's'}"))

        yield serve


def test_a_request_is_of_the_engines_own_version_and_carries_its_data(
    serve: Callable[..., tuple[Server, EngineClient]],
) -> None:
    server, client = serve(ok(b'{"Id": "1"}'), b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.api_version == "1.41"
    assert client.create("b c", {"Image": "a"}) == "1"
    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1.41/containers/create?name=b+c HTTP/1.1\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body) == {"Image": "a"}
    client.start("1")
    assert server.requests[2].startswith(b"POST /v1.41/containers/1/start ")


def test_what_the_engine_refuses_is_an_error_with_its_words(
    serve: Callable[..., tuple[Server, EngineClient]],
) -> None:
    missing = b'HTTP/1.1 404 Not Found\r\n\r\n{"message": "no such image: x"}'
    _, client = serve(missing, missing, b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>")
    with pytest.raises(RefusedError, match=r"^no such image: x$") as refused:
        client.image("x")
    assert refused.value.not_found
    with pytest.raises(RefusedError, match=r"^no such image: x$"):
        client.logs("x", follow=False)
    with pytest.raises(RefusedError, match=r"^<html>$") as refused:
        client.image("x")
    assert not refused.value.not_found


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n", ok(b""), ok(b'{"a": ')], ids=repr)
def test_an_answer_that_is_none_or_is_cut_is_an_engine_that_is_gone(
    answer: bytes, serve: Callable[..., tuple[Server, EngineClient]]
) -> None:
    _, client = serve(answer, answer)
    with pytest.raises(ConnectionError):
        client.create("1", {})
    with pytest.raises(ConnectionError):
        client.wait("1")


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def test_output_comes_frame_by_frame(serve: Callable[..., tuple[Server, EngineClient]]) -> None:
    frames = frame(1, b"caf\xc3") + frame(2, b"oh") + frame(1, b"\xa9" * 100_000)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (frames[:3], frames[3:20], frames[20:]))
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    _, client = serve(ok(frames), head + chunked + b"0\r\n\r\n", head + chunked)
    told = [(b"caf\xc3", None), (None, b"oh"), (b"\xa9" * 100_000, None)]
    assert list(client.attach("1")) == told
    assert list(client.logs("1", follow=True)) == told
    with pytest.raises(ConnectionError, match="in the middle of the output"):
        list(client.logs("1", follow=True))


def test_a_wait_that_nothing_is_said_on_is_asked_for_anew(
    serve: Callable[..., tuple[Server, EngineClient]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = serve(None, ok(b'{"StatusCode": 7}'), None)
    monkeypatch.setattr("innereye_runtime.targets.docker.client.SECONDS", 0.2)
    assert client.wait("1") == 7
    assert [line.split()[1] for line in server.requests[1:]] == [b"/v1.41/containers/1/wait"] * 2
    with pytest.raises(ConnectionError):
        client.wait("1", seconds=0.1)


def test_the_engine_is_where_the_docker_command_looks_for_it(tmp_path: Path) -> None:
    home = {"DOCKER_CONFIG": str(tmp_path)}
    assert Address.current(home) == Address(host=DEFAULT)
    assert Address.current({**home, "DOCKER_HOST": "unix:///x"}) == Address(host="unix:///x")
    assert Address.current({**home, "DOCKER_HOST": "tcp://a:1"}) == Address(host="tcp://a:1")
    secure = {**home, "DOCKER_HOST": "tcp://a:1", "DOCKER_TLS_VERIFY": "1"}
    assert Address.current(secure) == Address(host="tcp://a:1", certificates=tmp_path)
    unchecked = {**home, "DOCKER_HOST": "tcp://a:1", "DOCKER_CERT_PATH": "/c"}
    assert Address.current(unchecked) == Address(host="tcp://a:1", certificates=Path("/c"), verify=False)
    (tmp_path / "config.json").write_text('{"currentContext": "lab"}')
    with pytest.raises(PreflightError, match="there is no context 'lab'"):
        Address.current(home)
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"lab").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": "lab", "Endpoints": {"docker": {"Host": "unix:///lab"}}}))
    assert Address.current(home) == Address(host="unix:///lab")
    assert Address.current({**home, "DOCKER_CONTEXT": "default"}) == Address(host=DEFAULT)


@pytest.mark.parametrize(
    "described", ['{"Name": "lab"}', '{"Endpoints": null}', '{"Endpoints": {"docker": {"Host": 5}}}']
)
def test_a_context_that_names_no_engine_is_told_with_its_file(described: str, tmp_path: Path) -> None:
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"lab").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(described)
    with pytest.raises(PreflightError, match=f"the context 'lab' names no engine in {meta}"):
        Address.current({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "lab"})


def test_a_user_without_a_home_folder_has_the_usual_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    assert Address.current({}) == Address(host=DEFAULT)
    assert Address.current({"DOCKER_HOST": "tcp://a:1"}) == Address(host="tcp://a:1")


@pytest.mark.parametrize(
    "host", ["npipe:////./pipe/docker", "tcp://there", "there:2375", "tcp://no..host:1", f"tcp://{'a' * 80}.there:1"]
)
def test_an_address_that_means_nothing_here_is_told(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(PreflightError, match=f"settings for the Docker engine are wrong: '{host}' can't be") as refused:
        connect()
    assert refused.value.hint


def test_ssh_is_asked_for_the_port_that_its_settings_have(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ssh").write_text("#!/bin/sh\n[ \"$*\" = '-G -- me@there' ] && printf 'host there\\nport 2022\\n'\n")
    (tmp_path / "ssh").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Address(host="ssh://me@there").with_port() == "ssh://me@there:2022"
    for host in ("ssh://me@there:7", "tcp://there:1", "unix:///x"):
        assert Address(host=host).with_port() == host
    (tmp_path / "ssh").unlink()
    with pytest.raises(PreflightError, match="needs the command ssh"):
        Address(host="ssh://me@there").with_port()


def test_an_installation_without_the_sdk_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from innereye_runtime.targets.docker import client

    monkeypatch.setitem(sys.modules, "docker", None)
    client._sdk.cache_clear()
    with pytest.raises(PreflightError, match="SDK for Python is not installed") as refused:
        connect()
    assert refused.value.hint == "pip install 'innereye-runtime[docker]'"


def test_an_engine_behind_tcp_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener, [VERSION])
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        assert connect().api_version == "1.41"
        assert server.requests[0].startswith(b"GET /version HTTP/1.1\r\n")


@pytest.mark.parametrize("answer", [b"", ok(b"[]"), ok(b"{}"), ok(b"<html>")], ids=repr)
def test_what_is_not_an_engine_is_told_as_that(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Server(listener, [answer])
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(PreflightError, match="no Docker engine answers at tcp://127"):
            connect()


def test_an_engine_that_speaks_no_tls_where_it_should_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Server(listener, [VERSION])
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
        with pytest.raises(PreflightError, match="do not trust each other") as refused:
            connect()
        assert "DOCKER_CERT_PATH" in refused.value.hint


@pytest.fixture
def secure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """An engine that speaks TLS, where DOCKER_HOST says, and the certificate of the authority that vouches for it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listener:
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        yield Server(listener, [VERSION]), tmp_path / "authority.pem"


def test_an_engine_behind_tls_is_reached(secure: tuple[Server, Path], tmp_path: Path) -> None:
    server, authority = secure
    shutil.copy(authority, tmp_path / "ca.pem")
    assert connect().api_version == "1.41"
    assert server.requests[0].startswith(b"GET /version ")


def test_an_engine_whose_authority_is_not_known_is_not_talked_to(secure: tuple[Server, Path]) -> None:
    server, _ = secure
    with pytest.raises(PreflightError, match="do not trust each other"):
        connect()
    assert server.requests == []


def test_an_engine_that_need_not_be_vouched_for_is_talked_to(
    secure: tuple[Server, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = secure
    monkeypatch.delenv("DOCKER_TLS_VERIFY")
    assert connect().api_version == "1.41"
    assert len(server.requests) == 1
