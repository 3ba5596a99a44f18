"""Our containers on an engine, found by their labels: who runs, who was left behind, and what ends either."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.units import Memory
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import is_alive
from innereye_runtime.targets.base import StopResult
from innereye_runtime.targets.docker.client import Chunk, EngineClient, RefusedError
from innereye_runtime.targets.docker.engine import map_engine_errors
from innereye_runtime.targets.docker.exit_status import exit_status_of, finalize_run_record
from innereye_runtime.targets.docker.launch_context_file import cleanup_stale
from innereye_runtime.targets.docker.nodes import remove_stale_networks
from innereye_runtime.targets.docker.request import LABEL
from innereye_runtime.targets.supervision import GRACE_SECONDS

ACTIVE_STATES = ("running", "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContainer:
    """A container of a run. `orphan`: its launcher is gone, so nobody else will remove it."""

    id: str
    name: str
    run: str
    run_folder: str
    model: str
    image: str
    state: str
    """As the engine says: created, running, paused, exited, ..."""
    status: str
    """The same for people: `Up 3 minutes`."""
    launcher: str
    orphan: bool
    node: int = 0
    """Which of several nodes of one run it is."""

    def describe(self) -> dict[str, Any]:
        return asdict(self)


def containers(client: EngineClient) -> list[JobContainer]:
    """Every container of a run on this engine, the newest first."""
    with map_engine_errors():
        found = client.containers(f"{LABEL}.run")
    return [_job_container(entry) for entry in found]


def find(client: EngineClient, words: Sequence[str]) -> list[JobContainer]:
    """The containers that the words name: by a run folder, a run's name, or the start of a container's name or id.

    Raises:
        UsageError: a word names none.
    """
    there, found = containers(client), []
    for word in words:
        named = [one for one in there if _is_named(one, word)]
        if not named:
            raise UsageError(f"no container belongs to '{word}'", hint="innereye-run ps shows those that are there")
        found += [one for one in named if one not in found]
    return found


def ensure_not_running(client: EngineClient, folder: Path) -> None:
    """Nothing for a run that may go on.

    Raises:
        UsageError: a container is at work in its folder; a second one would write over what it writes.
    """
    for one in containers(client):
        if one.state in ACTIVE_STATES and _is_same(folder, one.run_folder):
            raise UsageError(
                f"the run is still active: container {one.name} is using {folder}",
                hint=f"innereye-run logs -f {folder} shows its log, innereye-run stop {folder} stops it",
            )


def _is_same(folder: Path, run_folder: str) -> bool:
    """Whether two paths lead to one folder, by whatever links."""
    return bool(run_folder) and os.path.realpath(folder) == os.path.realpath(run_folder)


def _is_named(container: JobContainer, word: str) -> bool:
    if word in (container.run, container.name) or _is_same(Path(word), container.run_folder):
        return True
    return len(word) >= 4 and (container.id.startswith(word) or word.startswith(container.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppedContainer:
    """What became of a container that was asked to end."""

    run: str
    run_folder: str
    exit_code: int | None
    """None: it was not running any more."""
    removed: bool
    """False: its launcher is there, and removes it."""

    def summary(self) -> str:
        ended = "was not running" if self.exit_code is None else f"ended with exit code {self.exit_code}"
        return f"{ended}, and was removed" if self.removed else ended

    def as_stop_result(self) -> StopResult:
        return StopResult(run=self.run, summary=self.summary(), details=asdict(self))


def stop_all(client: EngineClient, those: Sequence[JobContainer]) -> list[StoppedContainer]:
    """Stops the containers, all at the same time, and removes those that have no launcher."""
    from innereye_runtime.data.mount import mounting

    those = [one for one in those if one.orphan or one.node == 0]  # a launcher is asked once: twice is a kill
    with ThreadPoolExecutor(max_workers=max(len(those), 1)) as threads:
        codes = list(threads.map(lambda container: stop(client, container), those))
    for container, code in zip(those, codes, strict=True):
        if container.orphan:
            remove(client, container, stopped=code is not None)
    with map_engine_errors():
        remove_stale_networks(client)
    cleanup_stale()
    mounting.cleanup_stale_mounts()
    return [
        StoppedContainer(run=one.run, run_folder=one.run_folder, exit_code=code, removed=one.orphan)
        for one, code in zip(those, codes, strict=True)
    ]


def stop(client: EngineClient, container: JobContainer) -> int | None:
    """Asks the run to save what it has and end, waits as long as a launcher would, then kills it.

    A launcher that is there is asked instead, as it would take the end of its container for a preemption and start it
    again; it also removes it. An orphan stays for `remove`. The exit code; None: it was not running.
    """
    if container.state not in ACTIVE_STATES:
        return None
    with map_engine_errors():
        try:
            if not container.orphan and request_stop(container.launcher):
                return client.wait(container.id, seconds=GRACE_SECONDS + 10)
            client.stop(container.id, GRACE_SECONDS)
            return int(client.inspect(container.id)["State"]["ExitCode"])
        except RefusedError as refusal:
            if refusal.not_found:
                return None  # it was quicker
            raise


def request_stop(launcher: str) -> bool:
    """Whether a launcher could be asked to end its job."""
    try:
        os.kill(int(launcher), signal.SIGTERM)
    except (OSError, ValueError):
        return False  # another user's, or one on another machine
    return True


def remove(client: EngineClient, container: JobContainer, *, stopped: bool) -> None:
    """Removes a container that was left behind, and tells its end in run.json: it was `stopped`, or ended by itself."""
    with map_engine_errors():
        try:
            details = client.inspect(container.id)
            client.remove(container.id)
        except RefusedError as refusal:
            if refusal.not_found:
                return
            raise
    host = details["HostConfig"]
    end = exit_status_of(
        details["State"],
        memory=Memory(host["Memory"] or 1),
        shared_memory=Memory(host["ShmSize"] or 1),
        stopped_by=signal.SIGTERM if stopped else None,
    )
    paths = RunPaths(Path(container.run_folder))
    if paths.root.is_dir() and container.state != "created":
        finalize_run_record(paths, end, model=container.model)


def output(client: EngineClient, container: JobContainer, *, follow: bool) -> Iterator[Chunk]:
    """What the container printed so far, and with `follow` all that it will, until its end."""
    with map_engine_errors():
        yield from client.logs(container.id, follow=follow)


def _job_container(entry: dict[str, Any]) -> JobContainer:
    labels = {key.removeprefix(f"{LABEL}."): value for key, value in entry["Labels"].items()}
    launcher = labels.get("launcher", "")
    # A launcher on another machine can't be looked for from here; its containers are its own.
    here = labels.get("host", "") == platform.node()
    return JobContainer(
        id=entry["Id"][:12],
        name=entry["Names"][0].lstrip("/"),
        run=labels["run"],
        run_folder=labels.get("run-folder", ""),
        model=labels.get("model", ""),
        image=entry["Image"],
        state=entry["State"],
        status=entry["Status"],
        launcher=launcher.partition("-")[0] if here else "",
        orphan=here and not is_alive(launcher),
        node=int(labels.get("node", "0")),
    )
