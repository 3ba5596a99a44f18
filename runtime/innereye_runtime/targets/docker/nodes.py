"""The nodes of a job as containers on a network of their own: what several machines do, tried on one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from innereye_runtime.errors import InnerEyeError
from innereye_runtime.job.ranks import PORT
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import is_alive
from innereye_runtime.run.record import record_exit, recorded_exit_code
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.container import Container
from innereye_runtime.targets.docker.engine import create, map_engine_errors
from innereye_runtime.targets.docker.exit_status import exit_status_of
from innereye_runtime.targets.docker.request import LABEL, ContainerRequest
from innereye_runtime.targets.supervision import StopRequest

_END_SECONDS = 10.0
"""How much longer than the first node the others may take to end."""


@contextmanager
def created_nodes(
    client: EngineClient, request: ContainerRequest, nodes: int, launch: Path, paths: RunPaths, *, earlier: int
) -> Iterator[Container | Nodes]:
    """The container of `request`, or one for each of several nodes; they and their network are removed at the end."""
    with ExitStack() as created:
        if nodes == 1:
            yield _created(client, request, launch, paths, created)
            return
        network = request.name
        with map_engine_errors():
            client.create_network(network, {name: request.labels[name] for name in (f"{LABEL}.launcher",)})
        created.callback(_remove_network, client, network)
        requests = [_of_node(request, node, network) for node in range(nodes)]
        first = _created(client, requests[0], launch, paths, created)
        others = [_created(client, each, None, paths, created) for each in requests[1:]]
        yield Nodes(first, others, requests[0], paths, earlier=earlier)


class Nodes:
    """Containers that run as one: the output and the end of the first are the job's."""

    def __init__(
        self, first: Container, others: Sequence[Container], request: ContainerRequest, paths: RunPaths, *, earlier: int
    ) -> None:
        self._first = first
        self._others = others
        self._request = request
        self._paths = paths
        self._earlier = earlier

    def run(self, asked: StopRequest, *, stdout: int) -> dict[str, Any]:
        """The engine's `State` of the first container after its end; the others have ended too."""
        threads = [
            threading.Thread(target=self._run_other, args=(node, each, asked), daemon=True)
            for node, each in enumerate(self._others, 1)
        ]
        for thread, each in zip(threads, self._others, strict=True):
            thread.start()
            while thread.is_alive() and not each.started:  # the file that all share is removed with the first's start
                time.sleep(0.02)
        state = self._first.run(asked, stdout=stdout)
        deadline = time.monotonic() + _END_SECONDS
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        for thread, each in zip(threads, self._others, strict=True):
            if thread.is_alive():
                each.signal(signal.SIGKILL)
                thread.join(_END_SECONDS)
        return state

    def signal(self, signum: int) -> None:
        for each in (self._first, *self._others):
            each.signal(signum)

    def _run_other(self, node: int, container: Container, asked: StopRequest) -> None:
        """Runs one of the others. An end that nothing in it could tell is told here, so that the first finds it."""
        try:
            state = container.run(asked, stdout=2)
        except (InnerEyeError, RefusedError, OSError) as error:
            self._record(1, f"node {node}: {error}")
            return
        if int(state["ExitCode"]) and not asked.made:
            request = self._request
            end = exit_status_of(state, memory=request.memory, shared_memory=request.shared_memory, stopped_by=None)
            self._record(end.exit_code, f"node {node}: {end.reason or f'ended with exit code {end.exit_code}'}")

    def _record(self, exit_code: int, reason: str) -> None:
        if recorded_exit_code(self._paths, earlier=self._earlier) is None:
            record_exit(self._paths, exit_code, reason, earlier=self._earlier)


def remove_stale_networks(client: EngineClient) -> None:
    """Removes the networks whose launcher is gone, and that no container uses any more."""
    for network in client.networks(f"{LABEL}.launcher"):
        if not is_alive(network["Labels"][f"{LABEL}.launcher"]):
            with suppress(RefusedError):
                client.remove_network(network["Id"])


def _created(
    client: EngineClient, request: ContainerRequest, launch: Path | None, paths: RunPaths, created: ExitStack
) -> Container:
    container = Container(client, create(client, request), launch, paths)
    created.callback(container.remove)
    return container


def _of_node(request: ContainerRequest, node: int, network: str) -> ContainerRequest:
    variables = {"NODE_RANK": str(node), "MASTER_ADDR": "node0", "MASTER_PORT": PORT}
    return replace(
        request,
        name=f"{request.name}-node{node}" if node else request.name,
        environment={**request.environment, **variables},
        labels={**request.labels, f"{LABEL}.node": str(node)},
        network=network,
        alias=f"node{node}",
    )


def _remove_network(client: EngineClient, network: str) -> None:
    with map_engine_errors(), suppress(RefusedError):
        client.remove_network(network)
