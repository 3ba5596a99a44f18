"""The Docker engine: where it is, what it is asked, and the one table from its errors to ours."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import DataError, ImageError, InnerEyeError, PreflightError
from innereye_runtime.targets.docker.request import ContainerRequest

if TYPE_CHECKING:
    from docker import APIClient

_SECONDS = 60
"""For one answer of the engine. Waiting for a container's end and following its output have no such bound."""


def connect() -> APIClient:
    """A client of the engine that DOCKER_HOST or the current context of the `docker` command names; it has answered.

    Raises:
        PreflightError: no engine answers there, or the package `docker` is not installed.
    """
    try:
        import docker
        from docker.utils import kwargs_from_env
    except ModuleNotFoundError:
        raise PreflightError(
            "the Docker target needs the package docker", hint="pip install 'innereye-runtime[docker]'"
        ) from None
    with translated():
        where: dict[str, Any] = {**kwargs_from_env()}
        if not where:
            context = docker.ContextAPI.get_current_context()
            where = {"base_url": context.Host, "tls": context.TLSConfig or False} if context is not None else {}
        return docker.APIClient(version="auto", timeout=_SECONDS, **where)


def create(client: APIClient, request: ContainerRequest) -> str:
    """The id of a new container, which waits to be started. Its root is read-only, and it can gain no privilege."""
    from docker.types import DeviceRequest, Mount

    gpus: list[DeviceRequest] = []
    match request.gpus:
        case "none":
            pass
        case tuple():
            ids = [str(index) for index in request.gpus]
            gpus = [DeviceRequest(driver="nvidia", device_ids=ids, capabilities=[["gpu"]])]
        case _:
            count = -1 if request.gpus == "all" else request.gpus
            gpus = [DeviceRequest(driver="nvidia", count=count, capabilities=[["gpu"]])]
    host_config = client.create_host_config(
        # Not `volumes`: a source that is missing would become a new folder of root's.
        mounts=[
            Mount(str(bind.target or bind.source), str(bind.source), type="bind", read_only=bind.read_only)
            for bind in request.binds
        ],
        read_only=True,
        # Compiled kernels are loaded from there, so it has to be executable.
        tmpfs={"/tmp": "rw,exec,nosuid,nodev,mode=1777"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=request.processes,
        mem_limit=request.memory.bytes,
        # No swap on top: a job that needs more ends with a clear reason instead of slowing the machine down.
        memswap_limit=request.memory.bytes,
        nano_cpus=round(request.cpus * 1_000_000_000) if request.cpus is not None else None,
        shm_size=request.shared_memory.bytes,
        group_add=[str(group) for group in request.groups],
        device_requests=gpus,
    )
    with translated(request):
        created: dict[str, Any] = client.create_container(
            request.image,
            command=list(request.command),
            name=request.name,
            user=request.user,
            working_dir=str(request.working_directory),
            environment=dict(request.environment),
            labels=dict(request.labels),
            host_config=host_config,
        )
    return str(created["Id"])


def image_of(client: APIClient, reference: str) -> dict[str, Any]:
    """What the engine knows of an image.

    Raises:
        ImageError: it has none of that name.
    """
    with translated(image=reference):
        found: dict[str, Any] = client.inspect_image(reference)  # type: ignore[no-untyped-call]
    return found


def digest_of(image: dict[str, Any]) -> str:
    """The digest under which a registry has the image, or its id where it was built here."""
    digests: Sequence[str] = image.get("RepoDigests") or ()
    return digests[0].partition("@")[2] if digests else str(image["Id"])


@contextmanager
def translated(request: ContainerRequest | None = None, *, image: str = "") -> Iterator[None]:
    """Inside, what the SDK raises comes out as our own error, with a sentence that says what to do."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException, OSError) as error:
        raise own_error(error, image=image or (request.image if request else ""), request=request) from error


def own_error(error: Exception, *, image: str = "", request: ContainerRequest | None = None) -> InnerEyeError:
    """The error that a user should see for one of the SDK's (or of the HTTP library below it)."""
    from docker import errors

    text = str(getattr(error, "explanation", None) or error)
    match error:
        case errors.ImageNotFound():
            return _no_image(image)
        case errors.APIError() if "no such image" in text.lower():
            return _no_image(image)
        case errors.APIError() if "could not select device driver" in text or "nvidia-container-cli" in text:
            return PreflightError(
                "the manifest asks for GPUs, and this Docker engine has none to give: it lacks NVIDIA's runtime",
                hint="install the NVIDIA Container Toolkit, or set compute.gpus to none",
            )
        case errors.APIError() if "bind source path does not exist" in text:
            path = text.rpartition(": ")[2].strip()
            return _no_source(path, request)
        case errors.APIError() if "no space left on device" in text.lower():
            return PreflightError(
                "disk full: the Docker engine has no space left for a container",
                hint="docker system df shows what takes the space, docker system prune frees what nothing uses",
            )
        case errors.APIError() if "executable file not found" in text or "no such file or directory: unknown" in text:
            return ImageError(
                f"the image {image} has no innereye-runtime to start",
                hint="build one with innereye-run image build, or make yours FROM innereye-runtime:cpu",
            )
        case errors.APIError() if "Minimum memory limit" in text or "CPUs" in text or "shm" in text.lower():
            return PreflightError(
                f"the Docker engine refuses the limits: {text}", hint="see compute.docker in the manifest"
            )
        case errors.NotFound():
            return PreflightError(f"the container is gone: {text}", hint="it was removed by another command")
        case errors.APIError():
            return PreflightError(f"the Docker engine refused: {text}", hint="its own log says more")
        case errors.TLSParameterError() | errors.ContextException() | errors.ContextNotFound():
            return PreflightError(
                f"the settings for the Docker engine are wrong: {text}", hint="see docker context ls, and DOCKER_HOST"
            )
    if "PermissionError" in text or "Permission denied" in text:
        return PreflightError(
            f"this user may not talk to the Docker engine at {_address()}",
            hint="add yourself to the group docker and log in again, or use --target process",
        )
    return PreflightError(
        f"no Docker engine answers at {_address()}",
        hint="start it (sudo systemctl start docker, or Docker Desktop), or use --target process, which needs none",
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
        hint="bring it back; where the engine runs on another machine, the path has to be there",
    )


def _address() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
