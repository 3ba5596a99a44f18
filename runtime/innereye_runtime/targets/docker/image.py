"""The runtime's images: the request for a build, as one value, the build itself, and what an image says of itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from innereye_runtime.errors import ImageError, PreflightError, UsageError
from innereye_runtime.job import provenance
from innereye_runtime.job.git import Repository
from innereye_runtime.targets import source_tree
from innereye_runtime.targets.docker.build_network import BuildNetwork
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.engine import connect, digest_of, image_of
from innereye_runtime.targets.docker.request import LABEL
from innereye_runtime.targets.docker.source_digest import source_digest

Variant = Literal["cpu", "gpu"]
DOCKERFILE = "Dockerfile.gpu"
DEFAULT_BASE = "debian:bookworm-slim"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """A build of one variant from a source tree."""

    root: Path
    variant: Variant
    base: str
    commit: str
    requirements: str
    """sha256 over the locks of this variant."""
    source: str
    """sha256 over the package's source."""

    @property
    def tags(self) -> tuple[str, str]:
        """The name without a tag is the image that was built last."""
        return f"innereye-runtime:{self.variant}", "innereye-runtime:latest"

    def argv(self, docker: str, secrets: Mapping[str, Path]) -> list[str]:
        arguments = {
            "VARIANT": self.variant,
            "BASE": self.base,
            "COMMIT": self.commit,
            "REQUIREMENTS": self.requirements,
            "SOURCE": self.source,
        }
        # The host's network: a mirror or proxy on this machine is reached as pip and apt outside reach it.
        argv = [docker, "build", "--network=host", f"--file={self.root / DOCKERFILE}"]
        argv += [f"--tag={tag}" for tag in self.tags]
        argv += [f"--build-arg={name}={value}" for name, value in arguments.items()]
        argv += [f"--secret=id={name},src={path}" for name, path in sorted(secrets.items())]
        return [*argv, str(self.root)]


def plan_build(*, variant: Variant, base: str = DEFAULT_BASE, root: Path | None = None) -> ImageBuild:
    """The build of `variant` from the source tree at `root`; default: the checkout that this package runs from.

    Raises:
        UsageError: `root` is not a source tree of innereye-runtime.
    """
    checkout = source_tree.checkout()
    root = root or checkout or source_tree.PACKAGE
    if not (root / DOCKERFILE).is_file():
        raise UsageError(
            f"there is no {DOCKERFILE} in {root}: it is not a source tree of innereye-runtime",
            hint="name a checkout of innereye-runtime, or leave out --source to build the installed version",
        )
    return ImageBuild(
        root=root,
        variant=variant,
        base=base,
        commit=_commit(root),
        requirements=_digest(_locks(root, variant)),
        source=source_digest(root / "runtime" / "innereye_runtime"),
    )


def build(request: ImageBuild, *, output: int) -> str:
    """The id of the image that was built. What the build prints goes to the descriptor `output`.

    Raises:
        PreflightError: no client of Docker here can build.
        ImageError: the build failed; its own output says where.
    """
    client = connect()
    request = replace(request, base=_pinned(client, request, output=output))
    network = BuildNetwork.current()
    pins = (request.root / "images" / f"torch-{request.variant}.txt").read_text(encoding="utf-8")
    network.download_wheels(pins, request.root / "images" / "wheels" / request.variant)
    with tempfile.TemporaryDirectory(prefix="innereye-runtime-build-") as folder:
        argv = request.argv(building_client(), network.write_secrets(Path(folder)))
        environment = {
            **os.environ,
            "DOCKER_BUILDKIT": "1",
            "BUILDKIT_PROGRESS": os.environ.get("BUILDKIT_PROGRESS", "plain"),
        }
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        raise _failure(request)
    return str(image_of(client, request.tags[0])["Id"])


def building_client() -> str:
    """The path of the first `docker` on PATH that builds with BuildKit: one before version 23, or one with buildx.

    Raises:
        PreflightError: there is none.
    """
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        docker = shutil.which("docker", path=folder)
        if docker is not None and _builds(docker):
            return docker
    raise PreflightError(
        "no docker command on PATH can build: docker is missing, or lacks the buildx plugin",
        hint="install docker-buildx-plugin beside docker, or Debian's docker.io",
    )


def info(reference: str) -> dict[str, Any]:
    """What the engine and the image's own labels say of it.

    Raises:
        PreflightError: no engine answers.
        ImageError: it has no such image.
    """
    image = image_of(connect(), reference)
    labels = image["Config"].get("Labels") or {}
    source = labels.get(f"{LABEL}.source")
    return {
        "reference": reference,
        "digest": digest_of(image),
        "size_bytes": image["Size"],
        "created": image["Created"],
        "variant": labels.get(f"{LABEL}.variant"),
        "base": labels.get("org.opencontainers.image.base.name"),
        "commit": labels.get("org.opencontainers.image.revision"),
        "manifest_schema": labels.get(f"{LABEL}.manifest-schema"),
        "requirements": labels.get(f"{LABEL}.requirements"),
        "source": source,
        "packages": labels.get(f"{LABEL}.packages"),
        "same_source_as_here": source == source_digest() if source else None,
        "layers": len(image["RootFS"]["Layers"]),
    }


def _pinned(client: EngineClient, request: ImageBuild, *, output: int) -> str:
    """The base with the digest under which a registry has it, so that what was looked at is what is built on. One that
    was made on this machine has none, and stays as it is named.

    Raises:
        ImageError: it is not there, and can't be pulled.
    """
    if "@" in request.base:
        return request.base
    pulled = False
    try:
        image = client.image(request.base)
    except RefusedError as refusal:
        if not refusal.not_found:
            raise
        pull = [building_client(), "pull", "--quiet", request.base]
        if subprocess.run(pull, stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode != 0:
            raise _failure(request) from refusal
        image, pulled = client.image(request.base), True
    digests = [each.partition("@")[2] for each in image.get("RepoDigests") or ()]
    # An engine on containerd names its own images by digest too; no registry has those.
    return f"{request.base}@{digests[0]}" if digests and (pulled or digests[0] != image["Id"]) else request.base


def _builds(docker: str) -> bool:
    def says(*words: str) -> str | None:
        try:
            done = subprocess.run([docker, *words], capture_output=True, text=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    version = says("version", "--format", "{{.Client.Version}}")
    if version is None:
        return False
    major = version.partition(".")[0]
    return (major.isdecimal() and int(major) < 23) or says("buildx", "version") is not None


def _failure(request: ImageBuild) -> ImageError:
    name = request.tags[0]
    try:
        image_of(connect(), request.base)
    except ImageError:
        hint = f"bash {source_tree.find('images/base')} makes it from Debian's packages, with no image registry"
        return ImageError(
            f"the image {name} did not build: its base {request.base} is not on this engine, and could not be pulled",
            hint=hint if request.base == DEFAULT_BASE else "docker images shows the ones that are there",
        )
    return ImageError(
        f"the image {name} did not build: see the last lines above",
        hint=f"{source_tree.find('images/README.md')} lists what a build downloads, and where torch comes from",
    )


def _commit(root: Path) -> str:
    """That of the tree; `unknown` where git does not track it, also where it lies inside of another repository."""
    tracked = Repository(root).files("--error-unmatch", DOCKERFILE)
    code = provenance.code(root)
    if tracked.output is None or code.commit is None:
        return "unknown"
    return f"{code.commit}{'-dirty' if code.dirty else ''}"


def _locks(root: Path, variant: Variant) -> list[Path]:
    return [root / "images" / f"torch-{variant}.txt", root / "images" / f"requirements-{variant}.txt"]


def _digest(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()
