"""The image with a manifest's packages: built on the runtime's once, and found again by a digest of its inputs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import ImageError, PreflightError
from innereye_runtime.targets.docker.build_network import BuildNetwork
from innereye_runtime.targets.docker.client import EngineClient, RefusedError
from innereye_runtime.targets.docker.engine import image_of, map_engine_errors
from innereye_runtime.targets.docker.image import building_client
from innereye_runtime.targets.docker.packages_build import PackagesBuild
from innereye_runtime.targets.packages_context import LABEL, instructions, write_context

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements

BASE_LABEL, BASE_NAME_LABEL = f"{LABEL}-base", f"{LABEL}-base-name"
"""The id and the name of the image that it was built on."""
_PROGRESS = re.compile(r"^#\d+ (?:\d+\.\d+ )?")


def find_image(client: EngineClient, request: PackagesBuild) -> dict[str, Any] | None:
    """What the engine knows of the image, where it is there and was built on the base as the base is now.

    Raises:
        ImageError: the engine does not have the base.
    """
    base = image_of(client, request.base)
    try:
        found = client.image(request.tag)
    except RefusedError as refusal:
        if refusal.not_found:
            return None
        raise
    labels = found["Config"].get("Labels") or {}
    return found if labels.get(BASE_LABEL) == base["Id"] else None


def ensure_image(client: EngineClient, request: PackagesBuild, *, output: int) -> dict[str, Any]:
    """What the engine knows of the image, which is built where it is not there yet. The build prints to `output`.

    Raises:
        PreflightError: no client of Docker here can build, or a variable that an address names is not set.
        ImageError: the build failed; with both sides of a conflict where that is why.
    """
    with map_engine_errors(image=request.tag):
        found = find_image(client, request)
    return found if found is not None else build_packages(client, request, output=output)


def build_packages(client: EngineClient, request: PackagesBuild, *, output: int) -> dict[str, Any]:
    """What the engine knows of the image, built anew.

    Raises:
        As `ensure_image`.
    """
    base = image_of(client, request.base)
    with tempfile.TemporaryDirectory(prefix="innereye-runtime-packages-") as folder:
        context, secret_folder = Path(folder) / "context", Path(folder) / "secrets"
        secret_folder.mkdir(mode=0o700)
        write_context(context / "packages", request.requirements)
        dockerfile = Path(folder) / "Dockerfile"
        dockerfile.write_text(f"ARG BASE\nFROM ${{BASE}}\n{instructions(buildkit=True)}")
        secrets = BuildNetwork.current().write_secrets(secret_folder)
        secrets |= _variables(request.requirements, secret_folder, os.environ)
        labels = {LABEL: request.digest, BASE_LABEL: base["Id"], BASE_NAME_LABEL: request.base}
        argv = [building_client(), "build", "--network=host", f"--file={dockerfile}", f"--tag={request.tag}"]
        argv += [f"--build-arg=BASE={request.base}", *(f"--label={name}={value}" for name, value in labels.items())]
        argv += [f"--secret=id={name},src={path}" for name, path in sorted(secrets.items())]
        code, lines = _run([*argv, str(context)], output)
    if code != 0:
        raise _failure(request, lines)
    return image_of(client, request.tag)


def _run(argv: list[str], output: int) -> tuple[int, list[str]]:
    """The exit code of the build and what it printed, which is passed on while it comes."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
    lines: list[str] = []
    with subprocess.Popen(
        argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as build:
        assert build.stdout is not None
        for line in build.stdout:
            os.write(output, line)
            lines.append(_PROGRESS.sub("", line.decode(errors="replace").rstrip()))
    return build.returncode, lines


def _variables(requirements: Requirements, folder: Path, environment: Mapping[str, str]) -> dict[str, Path]:
    """The secret with the values of the variables that addresses of the requirements name."""
    names = requirements.variables
    if missing := [name for name in names if not environment.get(name)]:
        raise PreflightError(
            f"{requirements.file} names {', '.join(missing)}, which this environment does not set",
            hint=f"export {missing[0]}=..., as pip needs it too",
        )
    if not names:
        return {}
    path = folder / "variables.env"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={shlex.quote(environment[name])}\n" for name in names), encoding="utf-8")
    return {path.name: path}


def _failure(request: PackagesBuild, lines: list[str]) -> ImageError:
    start = next((index for index, line in enumerate(lines) if "No solution found" in line), None)
    if start is not None:
        text = _until_error(lines[start + 1 :])
        return ImageError(
            f"the packages of the manifest contradict each other, or what {request.base} keeps as tested: {text}",
            hint="change the requirements; torch, Lightning and the runtime stay as they are in the image",
        )
    reasons = [line.strip() for line in lines if re.match(r"\s*(error:|E:|ERROR:)", line) and "process" not in line]
    reason = f": {reasons[0]}" if reasons else ": see the lines above"
    return ImageError(
        f"the image with the manifest's packages did not build{reason}",
        hint="a build takes its indexes from pip's settings on this machine (pip config list); "
        "innereye-run image build MANIFEST builds it alone",
    )


def _until_error(lines: list[str]) -> str:
    """uv's explanation, which goes on over indented lines."""
    text: list[str] = []
    for line in lines:
        if not line.strip() or (text and not line.startswith(" ")):
            break
        text.append(line.strip(" ╰─▶│"))
    return " ".join(text)
