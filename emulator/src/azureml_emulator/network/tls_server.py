"""An HTTPS server on a free port of this machine, with a thread for each connection and injected faults."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from azureml_emulator.faults import SLOW_SECONDS, FaultInjector, Kind
from azureml_emulator.network.certificates import Certificates


class TlsServer(ThreadingHTTPServer):
    """A running server; `stop` ends it. `owner`: the object whose requests its handlers serve."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler: type[BaseHTTPRequestHandler], owner: Any, certificates: Certificates) -> None:
        self.owner = owner
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        super().__init__(("127.0.0.1", 0), handler)
        threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name="emulator"
        ).start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.server_address[:2]
        return str(host), int(port)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        # An answer's head and its body are sent one after the other: the body is not to wait for the client's word.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        # The connection's own thread does the handshake, at its first read.
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that disconnected is not an error."""


class Handler(BaseHTTPRequestHandler):
    """Passes each request to `respond`, whatever its verb."""

    protocol_version = "HTTP/1.1"
    server: TlsServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the servers record their requests."""

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").split(":")[0]
        self.respond(host, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def respond(self, host: str, body: bytes) -> None:
        raise NotImplementedError

    def inject_fault(self, faults: FaultInjector, request: str) -> Kind | None:
        """The fault of this request. `slow` has waited already; after `dropped`, the caller only returns."""
        fault = faults.next_fault(request)
        if fault in ("dropped", "answer-dropped"):
            self.close_connection = True
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        return fault
