"""Whose the containers and networks of jobs are, by their labels, and an end of those whose stand-in is gone."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass

from azureml_emulator.jobs.docker_cli import docker
from innereye_runtime.targets.docker.request import LABEL
from innereye_runtime.targets.process_id import current_process, is_alive

OWNER, HOST = f"{LABEL}.standin", f"{LABEL}.host"


def owner_label() -> str:
    """On all that this process makes on the engine."""
    return f"{OWNER}={current_process()}"


def labels() -> list[str]:
    """The same, and the machine, as words of `docker run`, `docker network create` and `docker build`."""
    return ["--label", owner_label(), "--label", f"{HOST}={socket.gethostname()}"]


@dataclass(frozen=True, slots=True)
class Leftover:
    kind: str
    """`container` or `network`."""
    name: str


def remove_left_behind() -> list[Leftover]:
    """What was removed: containers and networks of stand-ins on this machine that are gone. None without Docker."""
    if shutil.which("docker") is None:
        return []
    return [*_removed("container", ("ps", "--all"), ".Names", ("rm", "--force", "--volumes")),
            *_removed("network", ("network", "ls"), ".Name", ("network", "rm"))]  # fmt: skip


def _removed(kind: str, listing: tuple[str, ...], name: str, removal: tuple[str, ...]) -> list[Leftover]:
    form = f'{{{{{name}}}}} {{{{.Label "{OWNER}"}}}} {{{{.Label "{HOST}"}}}}'
    lines = docker(*listing, "--filter", f"label={OWNER}", "--format", form, check=False).splitlines()
    found = [line.split() for line in lines]
    names = [name for name, owner, host in found if host == socket.gethostname() and not is_alive(owner)]
    if names:
        docker(*removal, *names, check=False)
    return [Leftover(kind, name) for name in names]
