"""What run history says of a job and the job's own resource doesn't: why the service itself says that it failed.

The calls are those that the SDK makes when it streams a log; it has no public name for them.
"""

from __future__ import annotations

import re
from typing import Any

from innereye_runtime.targets.azureml.session import Session

_EXIT_STATUS = re.compile(r"exited with status code (\d+)")


def get_failure_message(session: Session, job: str) -> str:
    """The service's own message on a job that failed; '' where it has none.

    Raises:
        PreflightError: the service can't be asked.
    """

    def details() -> Any:
        host = session.api.get(session.api.discovery_url())["api"]
        return session.api.get(f"{host}/history/v1.0{session.api.resource_id}/runs/{job}/details")

    found = session.request(f"looking for why job {job} failed", details)
    error = (found.get("error") or {}).get("error") or {}
    return str(error.get("message") or "")


def exit_status_in(message: str) -> int | None:
    """The exit status of the user's process, where the message has one."""
    match = _EXIT_STATUS.search(message)
    return int(match[1]) if match else None
