"""Every secret that the manifest names has a value in the caller's environment. No value is shown."""

from __future__ import annotations

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok
from innereye_runtime.targets.supervision import secret_values

NAME = "credentials"


def check(subject: CheckContext) -> CheckResult:
    names = subject.manifest.secrets if subject.manifest else ()
    try:
        secret_values(names, subject.environment)
    except PreflightError as error:
        return failed(error)
    return ok(f"set: {', '.join(names)}" if names else "no secret is named")
