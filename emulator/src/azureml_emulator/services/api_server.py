"""The server of all host names except the blob store's: it passes each request to its service and records both."""

from __future__ import annotations

import json
import traceback
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from azureml_emulator.faults import FaultInjector
from azureml_emulator.http import Request, Response, ServiceError, arm_error, fault_response
from azureml_emulator.network.certificates import Certificates
from azureml_emulator.network.tls_server import Handler, TlsServer
from azureml_emulator.recording import Call, Recording
from azureml_emulator.services.token_issuer import TokenIssuer

CLOUDS = [
    {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": "https://management.azure.com/",
        "authentication": {
            "loginEndpoint": "https://login.microsoftonline.com",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
        },
        "suffixes": {"storage": "core.windows.net"},
    }
]
"""The endpoints of the cloud, which clients read before they sign in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services that the server passes requests to."""

    arm: Callable[[Request], Response]
    api: Callable[[Request], Response]
    """Run history, the dataset data plane and MLflow."""
    tokens: TokenIssuer


class ApiServer:
    """A running server; `stop` ends it."""

    def __init__(
        self, services: Services, *, certificates: Certificates, faults: FaultInjector, recording: Recording
    ) -> None:
        self.services = services
        self.faults = faults
        self.recording = recording
        self._http = TlsServer(_Handler, self, certificates)

    @property
    def address(self) -> tuple[str, int]:
        return self._http.address

    def stop(self) -> None:
        self._http.stop()

    def respond(self, host: str, request: Request) -> Response:
        """The response to a request; never raises."""
        try:
            return self._route(host, request)
        except ServiceError as error:
            return error.response
        except Exception:
            # A defect of the emulator: the client and the recording get its traceback.
            return arm_error(500, "InternalServerError", traceback.format_exc()).response

    def _route(self, host: str, request: Request) -> Response:
        if host.startswith("login."):
            return self.services.tokens.respond(request.path, request.body or "")
        if host.endswith(".api.azureml.ms") and "/discovery" in request.path and "/mlflow/" not in request.path:
            api = f"https://{host}"
            return Response(
                200, {"api": api, "history": api, "experimentation": api, "catalog": "https://catalog.invalid"}
            )
        if host.startswith("management.") and request.path.startswith("/metadata/endpoints"):
            return Response(200, CLOUDS)
        self.services.tokens.check(request.headers.get("authorization", ""))
        if host.endswith(".api.azureml.ms"):
            return self.services.api(request)
        if not host.startswith("management."):
            raise arm_error(404, "NotFound", f"the emulator does not implement {host}")
        return self.services.arm(request)


class _Handler(Handler):
    def respond(self, host: str, body: bytes) -> None:
        owner: ApiServer = self.server.owner
        url = urllib.parse.urlsplit(self.path)
        request = Request(
            verb=self.command,
            path=urllib.parse.unquote(url.path),
            query=dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_decoded(body, self.headers.get("Content-Type", "")),
        )
        fault = self.inject_fault(owner.faults, f"{request.verb} {host}{request.path}")
        if fault == "dropped":
            return
        if fault == "token-expired":
            owner.services.tokens.expire_all()
        is_injected = fault in ("429", "500", "503")
        response = fault_response(int(fault)) if fault and is_injected else owner.respond(host, request)
        owner.recording.add(
            Call(host=host, request=request, status=response.status, answer=response.body, is_injected=is_injected)
        )
        if fault != "answer-dropped":
            self._send(response)

    def _send(self, response: Response) -> None:
        payload = b"" if response.body is None else json.dumps(response.body).encode()
        self.send_response(response.status)
        for name, value in {"x-ms-request-id": str(uuid.uuid4()), **response.headers}.items():
            self.send_header(name, value)
        if payload:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _decoded(raw: bytes, content_type: str) -> Any:
    if not raw:
        return None
    if "json" in content_type:
        return json.loads(raw)
    return raw.decode(errors="replace")
