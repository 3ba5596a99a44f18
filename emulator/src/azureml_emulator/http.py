"""What the stand-in answers with: replies, refusals in the shape that each service gives them, and times."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """An error that a service answers with."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status}: {body}")
        self.reply = Reply(status, body, headers or {})


def arm_refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    """An error as Azure Resource Manager words it."""
    error = {"code": code, "message": message, "details": [], "additionalInfo": []}
    return RefusedError(status, {"error": error}, headers)


def fault_reply(status: int) -> Reply:
    """The answer of a service that is busy (429, 503) or broken (500)."""
    code = {429: "TooManyRequests", 500: "InternalServerError", 503: "ServiceUnavailable"}[status]
    error = {"code": code, "message": f"a fault that was asked for: {status}", "details": [], "additionalInfo": []}
    return Reply(status, {"error": error}, {} if status == 500 else {"Retry-After": "1"})


def utc_now() -> str:
    return dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")


def stable_uuid(name: str) -> str:
    """The same UUID for the same name, always."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def without_nulls(value: Any) -> Any:
    """`value` without what is null: the service sends null for what is not set, whatever the description says."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return [without_nulls(item) for item in value] if isinstance(value, list) else value
