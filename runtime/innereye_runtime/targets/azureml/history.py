"""What run history says of a job and the job's own resource doesn't: why the service itself says that it failed, and
which trials a sweep has.

The calls are those that the SDK makes when it streams a log; it has no public name for them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from innereye_runtime.targets.azureml.session import Session

_EXIT_STATUS = re.compile(r"exited with status code (\d+)")


def get_failure_message(session: Session, job: str) -> str:
    """The service's own message on a job that failed; '' where it has none.

    Raises:
        PreflightError: the service can't be asked.
    """

    found = session.request(
        f"looking for why job {job} failed", lambda: session.api.get(f"{session.api.runs_url}/{job}/details")
    )
    error = (found.get("error") or {}).get("error") or {}
    return str(error.get("message") or "")


def get_children(session: Session, job: str) -> list[Mapping[str, Any]]:
    """The runs of a sweep job's trials, as run history has them.

    Raises:
        PreflightError: there is no such job, or the service can't be asked.
    """

    def children() -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        url: str | None = f"{session.api.runs_url}/{job}/children"
        while url:
            page = session.api.get(url)
            found += page.get("value") or []
            url = page.get("nextLink")
        return found

    return session.request(f"listing the trials of {job}", children)


def exit_status_in(message: str) -> int | None:
    """The exit status of the user's process, where the message has one."""
    match = _EXIT_STATUS.search(message)
    return int(match[1]) if match else None
