"""What one check found: fine, worth a word, or in the way of the job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from innereye_runtime.errors import InnerEyeError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    status: Literal["ok", "warning", "failed", "skipped"]
    message: str
    remedy: str = ""
    error: InnerEyeError | None = None
    """Of a failed one: what the job would end with."""

    def describe(self, name: str) -> dict[str, Any]:
        described = {"check": name, "status": self.status, "message": self.message, "remedy": self.remedy}
        return {**described, "exit_code": int(self.error.exit_code)} if self.error else described


def ok(message: str) -> CheckResult:
    return CheckResult(status="ok", message=message)


def warning(message: str, remedy: str) -> CheckResult:
    return CheckResult(status="warning", message=message, remedy=remedy)


def skipped(message: str) -> CheckResult:
    return CheckResult(status="skipped", message=message)


def failed(error: InnerEyeError) -> CheckResult:
    return CheckResult(status="failed", message=str(error), remedy=error.hint, error=error)
