"""Every secret that the manifest names has a value in the caller's environment. No value is shown."""

from __future__ import annotations

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.doctor.finding import Finding, failed, ok
from innereye_runtime.targets.doctor.subject import Subject
from innereye_runtime.targets.supervision import secret_values

NAME = "credentials"


def check(subject: Subject) -> Finding:
    names = subject.manifest.secrets if subject.manifest else ()
    try:
        secret_values(names, subject.environment)
    except PreflightError as error:
        return failed(error)
    return ok(f"set: {', '.join(names)}" if names else "no secret is named")
