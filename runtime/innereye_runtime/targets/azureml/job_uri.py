"""The address of a job in Azure Machine Learning: what a command prints, and what others take to go on with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from innereye_runtime.errors import UsageError

_ADDRESS = re.compile(
    r"azureml://subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)"
    r"/workspaces/(?P<workspace>[^/]+)/jobs/(?P<job>[\w-]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUri:
    """`str()` gives the text that `parse` takes."""

    subscription_id: str
    resource_group: str
    workspace: str
    job: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address that `text` is.

        Raises:
            UsageError: it is none.
        """
        match = _ADDRESS.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"'{text}' is not the URI of a job",
                hint="as innereye-run prints it: azureml://subscriptions/S/resourcegroups/G/workspaces/W/jobs/JOB",
            )
        return cls(
            subscription_id=match["subscription"],
            resource_group=match["group"],
            workspace=match["workspace"],
            job=match["job"],
        )

    def __str__(self) -> str:
        return (
            f"azureml://subscriptions/{self.subscription_id}/resourcegroups/{self.resource_group}"
            f"/workspaces/{self.workspace}/jobs/{self.job}"
        )


def is_job_uri(text: str) -> bool:
    """True where `text` is meant as the address of a job, right or wrong."""
    return text.startswith("azureml:")
