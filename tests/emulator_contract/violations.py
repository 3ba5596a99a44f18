"""Calls to the emulator that violate Microsoft's published API description."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from azureml_emulator.recording import Call
from tests.emulator_contract.api_description import ApiDescription, find_api_description

KNOWN_REQUESTS = (
    ("CodeVersions_CreateOrUpdate", r"\$\.properties\.properties\.hash_version: \d+ is not of type 'string'"),
    ("Jobs_CreateOrUpdate", r"\$\.properties\.objective\.goal: '(minimize|maximize)' is not one of .*"),
)
"""What azure-ai-ml 1.35.2 itself sends, the service accepts, and the description does not allow."""
KNOWN_RESPONSES = (("Datastores_(Get|List)", r".*\.credentials: 'secrets' is a required property"),)
"""What the service responds, as recorded, and the description does not allow."""


def violations(calls: Iterable[Call]) -> list[str]:
    """One line for each call that violates the description, on either side; none where it is not available."""
    described = _description()
    if described is None:
        return []
    found = ((call, errors_of(call, described)) for call in calls)
    return [f"{call}: {'; '.join(errors)}" for call, errors in found if errors]


def errors_of(call: Call, description: ApiDescription) -> list[str]:
    """What the description does not allow in a call."""
    if not is_described(call):
        return []
    verdict = description.check_request(call.request)
    operation = verdict.operation or ""
    errors = [error for error in verdict.errors if not _is_known(operation, error, KNOWN_REQUESTS)]
    if operation and call.status < 400:
        found = description.check_answer(call.request, call.status, _without_nulls(call.answer))
        errors += [error for error in found if not _is_known(operation, error, KNOWN_RESPONSES)]
    return errors


def is_described(call: Call) -> bool:
    """Whether the description covers a call: the control plane, without cloud metadata and the URLs of a 202."""
    path = call.request.path
    return (
        call.host.startswith("management.")
        and not path.startswith("/metadata/endpoints")
        and "/mfeOperationResults/" not in path
    )


@cache
def _description() -> ApiDescription | None:
    return find_api_description(os.environ)


def _is_known(operation: str, error: str, known: tuple[tuple[str, str], ...]) -> bool:
    return any(re.fullmatch(name, operation) and re.fullmatch(text, error) for name, text in known)


def _without_nulls(value: Any) -> Any:
    """`value` without nulls: the service sends null for what is not set, whatever the description says."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
