"""A run in a container, found by its folder, its name or the container's id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from innereye_runtime.errors import InnerEyeError, UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.base import RunStatus, StopResult, Write
from innereye_runtime.targets.docker.engine import connect
from innereye_runtime.targets.docker.runs import ACTIVE_STATES, JobContainer, containers, find, output, stop_all
from innereye_runtime.targets.run_folder import FolderRun


class DockerRun(FolderRun):
    """The engine is asked when something is wanted of the container, and not for what the run folder answers."""

    has_two_streams = True

    def __init__(self, paths: RunPaths, reference: str) -> None:
        super().__init__(paths)
        self._reference = reference

    def is_active(self) -> bool:
        try:
            return any(one.state in ACTIVE_STATES for one in self._containers())
        except UsageError:  # no container belongs to it any more
            return False

    def _can_be_lost(self, record: RunRecord) -> bool:
        try:
            connect()
        except InnerEyeError:
            return False
        return True

    def logs(self, write: Write, *, follow: bool) -> None:
        """What the container printed or, when it is gone, the log in the run folder."""
        try:
            found = [one for one in self._containers() if one.node == 0]
        except InnerEyeError:
            if not self.paths.console_log.is_file():
                raise
            write(1, self.paths.console_log.read_bytes())
            return
        if len(found) > 1:
            names = ", ".join(container.name for container in found)
            raise UsageError(f"'{self._reference}' names several containers: {names}", hint="name one of them")
        for stdout, stderr in output(connect(), found[0], follow=follow):
            if stdout:
                write(1, stdout)
            if stderr:
                write(2, stderr)

    def stop(self) -> Sequence[StopResult]:
        return [one.as_stop_result() for one in stop_all(connect(), self._containers())]

    def _containers(self) -> list[JobContainer]:
        return find(connect(), [self._reference])


def attach(reference: str) -> DockerRun | None:
    """The run whose folder `reference` is, else the one that a container of that name or id belongs to.

    Raises:
        PreflightError: it is not a run folder, and no engine answers.
    """
    paths = RunPaths(Path(reference).absolute())
    if paths.run_json.is_file():
        return DockerRun(paths, reference)
    try:
        found = find(connect(), [reference])
    except UsageError:
        return None
    return DockerRun(RunPaths(Path(found[0].run_folder)), reference)


def run_status(container: JobContainer) -> RunStatus:
    """A container as `ps` lists it."""
    return RunStatus(
        run=container.run,
        target="docker",
        state=container.state,
        reference=container.run_folder or container.name,
        since=container.status,
        place=container.image,
        note="launcher gone: innereye-run clean" if container.orphan else f"launcher {container.launcher}".rstrip(),
        details=container.describe(),
    )


def list_runs() -> list[RunStatus]:
    return [run_status(container) for container in containers(connect()) if container.node == 0]


def clean() -> list[StopResult]:
    """Stops and removes the containers whose launcher is gone."""
    client = connect()
    orphans = [container for container in containers(client) if container.orphan]
    return [one.as_stop_result() for one in stop_all(client, orphans)]
