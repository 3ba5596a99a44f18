"""The server behind all names but the blob store's: it checks each request, has it answered, and records both."""

from __future__ import annotations

import json
import re
import threading
import traceback
import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from azureml_emulator.checker.api_description import Description, Request
from azureml_emulator.faults import FaultPlan
from azureml_emulator.http import RefusedError, Reply, arm_refusal, fault_reply, without_nulls
from azureml_emulator.network.certificates import Certificates
from azureml_emulator.network.tls_server import Handler, TlsServer
from azureml_emulator.services.token_issuer import Tokens

KNOWN_REQUESTS = (
    ("CodeVersions_CreateOrUpdate", r"\$\.properties\.properties\.hash_version: \d+ is not of type 'string'"),
)
"""What azure-ai-ml 1.35.2 itself sends, the service evidently takes, and the description does not allow."""
KNOWN_ANSWERS = (("Datastores_(Get|List)", r".*\.credentials: 'secrets' is a required property"),)
"""What the service answers, as recorded, and the description does not allow."""


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
"""What is asked for before anybody signs in: where the services of a cloud are."""


@dataclass(slots=True, kw_only=True)
class Call:
    """A request, what it was checked against, and its answer."""

    host: str
    request: Request
    status: int = 0
    answer: Any = None
    operation: str | None = None
    source: str = ""
    """Empty: of no published description that is at hand."""
    errors: tuple[str, ...] = ()
    answer_errors: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    """Departures that are those of the SDK or of the service."""

    def __str__(self) -> str:
        return f"{self.request.verb} {self.host}{self.request.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the server hands requests to, by the kind of host."""

    arm: Callable[[Request], Reply]
    api: Callable[[Request], Reply]
    """Run history, the dataset data plane and MLflow."""
    tokens: Tokens


@dataclass(slots=True, kw_only=True)
class Recording:
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, call: Call) -> None:
        with self.lock:
            self.calls.append(call)

    @property
    def violations(self) -> list[Call]:
        """Calls that depart from the published description, on either side."""
        return [call for call in self.calls if call.errors or call.answer_errors]


class Server:
    """A running server; `stop` ends it."""

    def __init__(
        self,
        services: Services,
        *,
        certificates: Certificates,
        description: Description | None,
        faults: FaultPlan,
    ) -> None:
        self.services = services
        self.description = description
        self.faults = faults
        self.recording = Recording()
        self._http = TlsServer(_Handler, self, certificates)

    @property
    def address(self) -> tuple[str, int]:
        return self._http.address

    def stop(self) -> None:
        self._http.stop()

    def answer(self, call: Call) -> Reply:
        """The reply to a request, with what was found wrong noted in `call`."""
        request = call.request
        try:
            reply = self._route(call)
        except RefusedError as refusal:
            reply = refusal.reply
        except Exception:
            # A fault of the stand-in itself: told to the client as what it is, and seen by whoever reads the recording.
            reply = arm_refusal(500, "InternalServerError", traceback.format_exc()).reply
        call.status, call.answer = reply.status, reply.body
        if self.description is not None and call.operation and reply.status < 400:
            found = self.description.check_answer(request, reply.status, without_nulls(reply.body))
            call.answer_errors = tuple(error for error in found if not _is_known(call.operation, error, KNOWN_ANSWERS))
        return reply

    def _route(self, call: Call) -> Reply:
        request, host = call.request, call.host
        if host.startswith("login."):
            return self.services.tokens.answer(request.path, request.body or "")
        if host.endswith(".api.azureml.ms") and "/discovery" in request.path and "/mlflow/" not in request.path:
            api = f"https://{host}"
            return Reply(
                200, {"api": api, "history": api, "experimentation": api, "catalog": "https://catalog.invalid"}
            )
        if host.startswith("management.") and request.path.startswith("/metadata/endpoints"):
            return Reply(200, CLOUDS)
        self.services.tokens.check(request.headers.get("authorization", ""))
        if host.endswith(".api.azureml.ms"):
            return self.services.api(request)
        if not host.startswith("management."):
            raise arm_refusal(404, "NotFound", f"{host} is not served")
        # Where a 202 points to is of the service's own making, and in no published description.
        if "/mfeOperationResults/" not in request.path:
            self._check(call)
        return self.services.arm(request)

    def _check(self, call: Call) -> None:
        if self.description is None:
            return
        verdict = self.description.check_request(call.request)
        call.operation, call.source = verdict.operation, verdict.source
        known = [error for error in verdict.errors if _is_known(verdict.operation or "", error, KNOWN_REQUESTS)]
        call.known = tuple(known)
        call.errors = tuple(error for error in verdict.errors if error not in known)
        if call.errors:
            raise arm_refusal(400, "UserError", "; ".join(call.errors))


def _is_known(operation: str, error: str, known: tuple[tuple[str, str], ...]) -> bool:
    return any(re.fullmatch(name, operation) and re.fullmatch(text, error) for name, text in known)


class _Handler(Handler):
    def respond(self, host: str, body: bytes) -> None:
        owner: Server = self.server.owner
        url = urllib.parse.urlsplit(self.path)
        request = Request(
            verb=self.command,
            path=urllib.parse.unquote(url.path),
            query=dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=_decoded(body, self.headers.get("Content-Type", "")),
        )
        call = Call(host=host, request=request)
        fault = self.misbehave(owner.faults, str(call))
        if fault == "dropped":
            return
        if fault == "token-expired":
            owner.services.tokens.expire_all()
        reply = fault_reply(int(fault)) if fault in ("429", "500", "503") else owner.answer(call)
        call.status = reply.status
        owner.recording.add(call)
        if fault != "answer-dropped":
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        payload = b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"x-ms-request-id": str(uuid.uuid4()), **reply.headers}.items():
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
