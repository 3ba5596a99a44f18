"""What run history says of a job and the job's own resource doesn't: why the service itself says that it failed.

The calls are those that the SDK makes when it streams a log; it has no public name for them.
"""

from __future__ import annotations

import re
from typing import Any

from innereye_runtime.targets.azureml.session import Session

_SCOPE = "https://management.azure.com/.default"
_EXIT_STATUS = re.compile(r"exited with status code (\d+)")


def get_failure_message(session: Session, job: str) -> str:
    """The service's own message on a job that failed; '' where it has none.

    Raises:
        PreflightError: the service can't be asked.
    """
    discovery = session.call(
        f"looking for workspace {session.workspace}",
        lambda client: client.workspaces.get(session.workspace).discovery_url,
    )
    workspace = (
        f"/subscriptions/{session.subscription_id}/resourceGroups/{session.resource_group}"
        f"/providers/Microsoft.MachineLearningServices/workspaces/{session.workspace}"
    )

    def details() -> Any:
        host = _get(session, str(discovery))["api"]
        return _get(session, f"{host}/history/v1.0{workspace}/runs/{job}/details")

    found = session.call(f"looking for why job {job} failed", lambda client: details())
    error = (found.get("error") or {}).get("error") or {}
    return str(error.get("message") or "")


def exit_status_in(message: str) -> int | None:
    """The exit status of the user's process, where the message has one."""
    match = _EXIT_STATUS.search(message)
    return int(match[1]) if match else None


def _get(session: Session, url: str) -> Any:
    from azure.core import PipelineClient
    from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
    from azure.core.rest import HttpRequest

    policies = [RetryPolicy(), BearerTokenCredentialPolicy(session.credential, _SCOPE)]
    client: PipelineClient[Any, Any] = PipelineClient(url, policies=policies)
    with client:
        answer = client.send_request(HttpRequest("GET", url))
        answer.raise_for_status()
        return answer.json()
