"""A CONNECT proxy with a fixed table of routes: how a client that knows only Azure's names gets to this machine.

A client is led here by HTTPS_PROXY, so no code, name server or hosts file changes. TLS is not broken open: bytes go to
a server that owns a certificate for the name. A host that is not in the table is refused and noted, so that a test can
hold that nothing was asked for outside.
"""

from __future__ import annotations

import contextlib
import fnmatch
import selectors
import socket
import socketserver
import threading
from collections.abc import Sequence

Address = tuple[str, int]
IDLE_SECONDS = 300


class Proxy:
    """A running proxy. `listen` adds an address that it is reached at, as the network of a job has one of its own."""

    def __init__(self, routes: Sequence[tuple[str, Address]]) -> None:
        self.routes = tuple(routes)
        self.connected: list[str] = []
        self.refused: list[str] = []
        self._servers: list[_Server] = []
        self._port = self.listen("127.0.0.1")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def listen(self, host: str) -> int:
        """The port of a new listener on `host`."""
        server = _Server((host, 0), _Handler)
        server.proxy = self
        threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name="stand-in-proxy"
        ).start()
        self._servers.append(server)
        port: int = server.server_address[1]
        return port

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def route(self, host: str) -> Address | None:
        """Where `host` is served; None, after noting it, where it isn't."""
        for pattern, address in self.routes:
            if fnmatch.fnmatch(host, pattern):
                self.connected.append(host)
                return address
        self.refused.append(host)
        return None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: Proxy


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        words = self.rfile.readline(8192).decode("latin-1").split()
        while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
            pass
        if len(words) < 2 or words[0] != "CONNECT":
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        address = self.server.proxy.route(words[1].rsplit(":", 1)[0])
        if address is None:
            self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        with contextlib.suppress(OSError), socket.create_connection(address) as upstream:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pump(self.connection, upstream)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Passes bytes both ways until either side closes, or nothing moves for `IDLE_SECONDS`."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while ready := selector.select(IDLE_SECONDS):
            for key, _ in ready:
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(65536)
                if not data:
                    return
                target.sendall(data)
