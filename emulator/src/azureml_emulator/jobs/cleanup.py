"""Labels that name the owner of a job's containers, networks and images, and removal of those whose owner is gone."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass

from azureml_emulator.jobs.docker_cli import docker
from azureml_emulator.processes import is_alive, process_identity

OWNER, HOST = "azureml-emulator.owner", "azureml-emulator.host"


def owner_label() -> str:
    """The label of everything that this process creates on the engine."""
    return f"{OWNER}={process_identity()}"


def labels() -> list[str]:
    """The owner and the machine, as options of `docker run`, `docker network create` and `docker build`."""
    return ["--label", owner_label(), "--label", f"{HOST}={socket.gethostname()}"]


@dataclass(frozen=True, slots=True)
class StaleResource:
    kind: str
    """`container`, `network` or `image`."""
    name: str


def remove_stale() -> list[StaleResource]:
    """The containers, networks and images that were removed: those of emulators of this machine that no longer run.
    Empty without Docker.
    """
    if shutil.which("docker") is None:
        return []
    return [resource for kind in _KINDS for resource in _remove(kind)]


_KINDS = {
    "container": (("ps", "--all"), "{{.Name}}", ".Config.Labels", ("rm", "--force", "--volumes")),
    "network": (("network", "ls"), "{{.Name}}", ".Labels", ("network", "rm")),
    "image": (("images",), "{{.Id}}", ".Config.Labels", ("rmi", "--force")),
}
"""For each kind, as words of `docker`: the listing, the name and the labels in the output of `inspect`, the removal."""


def _remove(kind: str) -> list[StaleResource]:
    listing, name, where, removal = _KINDS[kind]
    found = docker(*listing, "--quiet", "--filter", f"label={OWNER}", check=False).split()
    if not found:
        return []
    form = f'{name} {{{{index {where} "{OWNER}"}}}} {{{{index {where} "{HOST}"}}}}'
    described = [line.split() for line in docker(kind, "inspect", "--format", form, *found, check=False).splitlines()]
    names = [name for name, owner, host in described if host == socket.gethostname() and not is_alive(owner)]
    if names:
        docker(*removal, *names, check=False)
    return [StaleResource(kind, name.removeprefix("/")) for name in names]
