"""The rest of a command that submitted a job elsewhere is for a small process, of the same number: it only follows the
job, and gives up the memory that reading the manifest and submitting took.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from innereye_runtime.targets.base import FollowableHandle

_MODULE = "innereye_runtime.cli.follow"


class HandoverError(Exception):
    """Ends a command that continues in another process; nothing went wrong."""

    def __init__(self, target: str, handle: FollowableHandle, *, as_json: bool) -> None:
        super().__init__(target)
        self._job = {"target": target, "job": handle.as_text(), "as_json": as_json}
        self.report: dict[str, Any] | None = None
        """For `reported` of `run`; None: no CI gets to know of the run."""

    @property
    def argument(self) -> str:
        """What `main` of `follow` takes."""
        return json.dumps({**self._job, "report": self.report})


def begin(handover: HandoverError) -> NoReturn:
    """Makes this process the one that follows the job."""
    from innereye_runtime.run.process_end import begin_anew

    begin_anew(_MODULE, [handover.argument], os.environ)
