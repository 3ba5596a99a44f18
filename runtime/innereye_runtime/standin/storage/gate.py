"""A server in front of the blob store that passes requests on, and does wrong what it was told to."""

from __future__ import annotations

import http.client
import ssl
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

from innereye_runtime.standin.faults import SLOW_SECONDS, FaultPlan
from innereye_runtime.standin.network.certificates import Certificates
from innereye_runtime.standin.network.tls import TlsServer
from innereye_runtime.standin.services.answers import fault_reply

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"}


class BlobGate:
    """A running gate; `stop` ends it. `requests`: each one that came, as "METHOD host/path"."""

    def __init__(self, port: int, *, certificates: Certificates, faults: FaultPlan) -> None:
        """`port`: of the blob store, on 127.0.0.1."""
        self.faults = faults
        self.requests: list[str] = []
        self.upstream_port = port
        self.upstream_context = ssl.create_default_context(cafile=str(certificates.authority))
        self._http = TlsServer(_Handler, self, certificates)

    @property
    def address(self) -> tuple[str, int]:
        return self._http.address

    def stop(self) -> None:
        self._http.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TlsServer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: `BlobGate.requests` has it all."""

    def do_GET(self) -> None:
        gate: BlobGate = self.server.owner
        host = self.headers.get("Host", "").split(":")[0]
        request = f"{self.command} {host}{self.path.split('?')[0]}"
        gate.requests.append(request)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = gate.faults.take(request)
        if fault == "dropped":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        if fault in ("429", "500", "503"):
            reply = fault_reply(int(fault))
            self._send(reply.status, dict(reply.headers), b"")
            return
        if fault == "token-expired":
            self._send(401, {"WWW-Authenticate": "Bearer", "x-ms-error-code": "InvalidAuthenticationInfo"}, b"")
            return
        status, headers, content = self._forward(gate, body)
        if fault == "answer-dropped":
            # Half of it, so that a reader who trusts what came has a file that is too short.
            self._send(status, headers, content, cut=True)
            self.close_connection = True
            return
        self._send(status, headers, content)

    do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def _forward(self, gate: BlobGate, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPSConnection("127.0.0.1", gate.upstream_port, context=gate.upstream_context)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, kept, content
        finally:
            upstream.close()

    def _send(self, status: int, headers: dict[str, str], content: bytes, *, cut: bool = False) -> None:
        self.send_response(status)
        if self.command != "HEAD" or "Content-Length" not in headers:
            headers = {name: value for name, value in headers.items() if name.lower() != "content-length"}
            headers["Content-Length"] = str(len(content))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
