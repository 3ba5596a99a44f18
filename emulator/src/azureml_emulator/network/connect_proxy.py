"""A CONNECT proxy with a fixed table of routes, which directs a client that uses Azure's host names to this machine.

The client is configured by HTTPS_PROXY, so no code, name server or hosts file changes. The proxy does not terminate
TLS: it forwards bytes to a server that has a certificate for the name. A host that is not in the table is refused and
recorded, so that a test can assert that no other host was contacted.
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


class ConnectProxy:
    """A running proxy. `listen` adds an address to listen on, because each job has a network of its own."""

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
            target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name="emulator-proxy"
        ).start()
        self._servers.append(server)
        port: int = server.server_address[1]
        return port

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def route(self, host: str) -> Address | None:
        """The address of the server for `host`; None, after recording it, for a host that is not in the table."""
        for pattern, address in self.routes:
            if fnmatch.fnmatch(host, pattern):
                self.connected.append(host)
                return address
        self.refused.append(host)
        return None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    proxy: ConnectProxy


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
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
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _pump(self.connection, upstream)


def _pump(one: socket.socket, other: socket.socket) -> None:
    """Forwards bytes both ways until either side closes, or no byte arrives for `IDLE_SECONDS`."""
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
                # To a proxy, urllib3 sends with Nagle's algorithm: a request's body waits for its head's
                # acknowledgement, which the kernel would put off for 40 ms.
                if hasattr(socket, "TCP_QUICKACK"):  # of Linux
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, True)
                target.sendall(data)
