"""A Docker engine answers, and is one that this program can work with."""

from __future__ import annotations

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok

NAME = "engine"


def check(subject: CheckContext) -> CheckResult:
    try:
        version = subject.client.api_version
    except PreflightError as error:
        return failed(error)
    return ok(f"a Docker engine answers (API {version})")
