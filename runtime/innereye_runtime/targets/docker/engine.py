"""The Docker engine: what it is asked, and the one table from its refusals to our errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from innereye_runtime.errors import DataError, ImageError, InnerEyeError, PreflightError
from innereye_runtime.manifest.model import Gpus
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.endpoint import Address
from innereye_runtime.targets.docker.request import ContainerRequest


def connect() -> EngineClient:
    """A client of the engine that DOCKER_HOST or the current context of the `docker` command names; it has answered.

    Raises:
        PreflightError: no engine answers there.
    """
    with map_engine_errors():
        return EngineClient.connect(Address.current())


def create(client: EngineClient, request: ContainerRequest) -> str:
    """The id of a new container, which waits to be started."""
    with map_engine_errors(request):
        return client.create(request.name, to_create_body(request))


def to_create_body(request: ContainerRequest) -> dict[str, Any]:
    """What the engine is sent for `request`. The container's root is read-only, and it can gain no privilege.

    Source: ContainerCreate in the engine's API reference.
    """
    body: dict[str, Any] = {
        "Image": request.image,
        "Cmd": list(request.command),
        "User": request.user,
        "WorkingDir": str(request.working_directory),
        "Env": [f"{name}={value}" for name, value in request.environment.items()],
        "Labels": dict(request.labels),
        "HostConfig": {
            # Not `Binds`: a source that is missing would become a new folder of root's.
            "Mounts": [
                {
                    "Type": "bind",
                    "Source": str(bind.source),
                    "Target": str(bind.target or bind.source),
                    "ReadOnly": bind.read_only,
                }
                for bind in request.binds
            ],
            "ReadonlyRootfs": True,
            # Compiled kernels are loaded from there, so it has to be executable.
            "Tmpfs": {"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": request.processes,
            "Memory": request.memory.bytes,
            # No swap on top: a job that needs more ends with a clear reason instead of slowing the machine down.
            "MemorySwap": request.memory.bytes,
            "NanoCpus": round((request.cpus or 0) * 1_000_000_000),
            "ShmSize": request.shared_memory.bytes,
            "GroupAdd": [str(group) for group in request.groups],
            "DeviceRequests": _devices(request.gpus),
        },
    }
    if request.network is not None:
        body["HostConfig"]["NetworkMode"] = request.network
        body["NetworkingConfig"] = {"EndpointsConfig": {request.network: {"Aliases": [request.alias]}}}
    return body


def _devices(gpus: Gpus) -> list[dict[str, Any]]:
    match gpus:
        case "none":
            return []
        case tuple():
            which: dict[str, Any] = {"DeviceIDs": [str(index) for index in gpus]}
        case _:
            which = {"Count": -1 if gpus == "all" else gpus}
    return [{"Driver": "nvidia", "Capabilities": [["gpu"]], **which}]


def image_of(client: EngineClient, reference: str) -> dict[str, Any]:
    """What the engine knows of an image.

    Raises:
        ImageError: it has none of that name.
    """
    with map_engine_errors(image=reference):
        return client.image(reference)


def digest_of(image: dict[str, Any]) -> str:
    """The digest under which a registry has the image, or its id where it was built here."""
    digests: Sequence[str] = image.get("RepoDigests") or ()
    return digests[0].partition("@")[2] if digests else str(image["Id"])


@contextmanager
def map_engine_errors(request: ContainerRequest | None = None, *, image: str = "") -> Iterator[None]:
    """Inside, what the engine refuses, or its absence, comes out as our own error, which says what to do."""
    try:
        yield
    except (RefusedError, OSError) as error:
        raise to_image_error(error, image=image or (request.image if request else ""), request=request) from error


def to_image_error(error: Exception, *, image: str = "", request: ContainerRequest | None = None) -> InnerEyeError:
    """The error that a user should see for one of the client's."""
    text = str(error)
    match error:
        case RefusedError() if "no such image" in text.lower():
            return _no_image(image)
        case RefusedError() if "could not select device driver" in text or "nvidia-container-cli" in text:
            return PreflightError(
                "the manifest requests GPUs, and this Docker engine has no NVIDIA runtime",
                hint="install the NVIDIA Container Toolkit, or set compute.gpus to none",
            )
        case RefusedError() if "bind source path does not exist" in text:
            path = text.rpartition(": ")[2].strip()
            return _no_source(path, request)
        case RefusedError() if "no space left on device" in text.lower():
            return PreflightError(
                "disk full: the Docker engine has no space left for a container",
                hint="docker system df shows what takes the space, docker system prune frees what nothing uses",
            )
        case RefusedError() if "executable file not found" in text or "no such file or directory: unknown" in text:
            return ImageError(
                f"the image {image} has no innereye-runtime to start",
                hint="build one with innereye-run image build, or make yours FROM innereye-runtime:cpu",
            )
        case RefusedError() if "Minimum memory limit" in text or "CPUs" in text or "shm" in text.lower():
            return PreflightError(
                f"the Docker engine refuses the limits: {text}",
                hint="change compute.docker.cpus, compute.docker.memory or compute.shm_size",
            )
        case RefusedError(not_found=True):
            return PreflightError(f"the container is gone: {text}", hint="it was removed by another command")
        case RefusedError():
            return PreflightError(f"the Docker engine refused: {text}", hint="see its log for details")
        case PermissionError():
            return PreflightError(
                f"this user may not talk to the Docker engine at {_address()}",
                hint="add yourself to the group docker and log in again, or use --target process",
            )
        case _ if (address := _address()).startswith("ssh://"):
            return PreflightError(
                f"no Docker engine answers at {address}",
                hint=f"see whether it does for ssh {address} docker version",
            )
        case _:
            return PreflightError(
                f"no Docker engine answers at {_address()}",
                hint="start it (sudo systemctl start docker, or Docker Desktop), "
                "or use --target process, which needs none",
            )


def _no_image(image: str) -> ImageError:
    variant = "gpu" if image.endswith(":gpu") else "cpu"
    ours = image.partition(":")[0] == "innereye-runtime"
    hint = f"innereye-run image build --variant {variant}" if ours else f"docker pull {image}"
    return ImageError(f"there is no image {image} on this Docker engine", hint=hint)


def _no_source(path: str, request: ContainerRequest | None) -> InnerEyeError:
    of_run = request is not None and any(str(bind.source) == path and not bind.read_only for bind in request.binds)
    if of_run:
        return PreflightError(f"the run folder {path} is gone", hint="start the run again")
    return DataError(
        f"{path} is not there for the Docker engine, so it can't be mounted",
        hint="restore it; if the engine runs on another machine, the path must exist there",
    )


def _address() -> str:
    return Address.current().host
