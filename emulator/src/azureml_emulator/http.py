"""Requests, responses, and errors in the format of each Azure service."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    verb: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any

    @property
    def version(self) -> str:
        return self.query.get("api-version", "")


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class ServiceError(Exception):
    """An error response of a service."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.response = Response(status, body, headers or {})


def arm_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> ServiceError:
    """An error in the format of Azure Resource Manager."""
    error = {"code": code, "message": message, "details": [], "additionalInfo": []}
    return ServiceError(status, {"error": error}, headers)


def fault_response(status: int) -> Response:
    """The response of a service that is throttled (429), unavailable (503) or broken (500)."""
    code = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}[status]
    error = {"code": code, "message": f"injected fault: {status}", "details": [], "additionalInfo": []}
    return Response(status, {"error": error}, {} if status == 500 else {"Retry-After": "1"})


def utc_now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


def stable_uuid(name: str) -> str:
    """The same UUID for the same name, always."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
