"""A Docker engine answers, and is one that this program can work with."""

from __future__ import annotations

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.doctor.finding import Finding, failed, ok
from innereye_runtime.targets.doctor.subject import Subject

NAME = "engine"


def check(subject: Subject) -> Finding:
    try:
        version = subject.client.api_version
    except PreflightError as error:
        return failed(error)
    return ok(f"a Docker engine answers (API {version})")
