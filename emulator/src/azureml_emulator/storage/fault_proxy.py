"""A reverse proxy in front of the blob store that injects faults."""

from __future__ import annotations

import http.client
import ssl

from azureml_emulator.faults import FaultInjector
from azureml_emulator.http import fault_response
from azureml_emulator.network.certificates import Certificates
from azureml_emulator.network.tls_server import Handler, TlsServer

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-authorization"}


class BlobFaultProxy:
    """A running proxy; `stop` ends it. `requests`: each request so far, as "METHOD host/path"."""

    def __init__(self, port: int, *, certificates: Certificates, faults: FaultInjector) -> None:
        """`port`: the port of the blob store on 127.0.0.1."""
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


class _Handler(Handler):
    def respond(self, host: str, body: bytes) -> None:
        proxy: BlobFaultProxy = self.server.owner
        request = f"{self.command} {host}{self.path.split('?')[0]}"
        proxy.requests.append(request)
        fault = self.inject_fault(proxy.faults, request)
        if fault == "dropped":
            return
        if fault in ("429", "500", "503"):
            response = fault_response(int(fault))
            self._send(response.status, dict(response.headers), b"")
        elif fault == "token-expired":
            self._send(401, {"WWW-Authenticate": "Bearer", "x-ms-error-code": "InvalidAuthenticationInfo"}, b"")
        else:
            # Half of the response is sent: a client that does not check its length has a truncated file.
            self._send(*self._forward(proxy, body), cut=fault == "answer-dropped")

    def _forward(self, proxy: BlobFaultProxy, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPSConnection("127.0.0.1", proxy.upstream_port, context=proxy.upstream_context)
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
