"""The log of a job, from the blobs that AzureML keeps it in: of one that runs, of one that is over, with a key or
without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Protocol

from innereye_runtime.targets.azureml.service_error import ServiceError
from innereye_runtime.targets.azureml.session import ARTIFACTS, Session

STARTED_AGAIN = b"\n-- the job was started again --\n"
_SHOWN = re.compile(r"azureml-logs/20_image_build_log\.txt|user_logs/std_log(_process_0+)?\.txt")
"""Of a job's artifacts: what the build of its environment printed, where one was built, and its first process."""


class Log(Protocol):
    """Something that grows while it is read."""

    def read(self) -> Iterator[bytes]:
        """The new pieces, in order."""


class LogReader:
    """What the build of a job's environment and its first process print. `read` gives what is new since it was last
    called.
    """

    def __init__(self, session: Session, job: str) -> None:
        self._session = session
        self._prefix = f"ExperimentRun/dcid.{job}/"
        self._seen: dict[str, int] = {}

    def read(self) -> Iterator[bytes]:
        """The new pieces, in order. A log that is shorter than what was read of it is that of another attempt.

        Raises:
            PreflightError: the log can't be reached.
        """
        for name, size in self._listed():
            seen = self._seen.get(name, 0)
            if size < seen:
                yield STARTED_AGAIN
                seen = 0
            if size > seen:
                data = self._session.request("reading the log", lambda at=seen, of=name: self._fetch(of, at))  # type: ignore[misc]
                seen += len(data)
                yield data
            self._seen[name] = seen

    def _listed(self) -> list[tuple[str, int]]:
        blobs = self._session.request(
            "looking for the log", lambda: list(self._session.blobs(ARTIFACTS).list(self._prefix))
        )
        return [(blob.name, blob.size) for blob in blobs if _SHOWN.fullmatch(blob.name.removeprefix(self._prefix))]

    def _fetch(self, name: str, start: int) -> bytes:
        """The bytes from `start` on; none where the log is no longer as long as it was when it was listed."""
        try:
            return self._session.blobs(ARTIFACTS).read(name, start)
        except ServiceError as error:
            if error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return b""  # another attempt has begun its log anew: the next `read` sees that
            raise
