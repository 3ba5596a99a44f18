"""`RunRecovery` under its old name."""

from innereye_runtime.api.members import RunRecovery

__all__ = ["RunRecovery"]
