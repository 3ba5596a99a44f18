"""What an image with a manifest's packages is built from, for Docker and for AzureML: instructions and context."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.errors import DataError
from innereye_runtime.targets import source_tree

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirement, Requirements

LABEL = "innereye-runtime.packages"
"""Of an image: the digest of what was asked for."""
SCRIPT = "install-packages"
_OF_TORCH = re.compile(r"(nvidia|cuda)-.*|triton")
"""What a lock has beside torch: an image's torch has its own."""
_COPY = """\
COPY packages /opt/innereye-runtime/packages
RUN bash /opt/innereye-runtime/packages/install-packages /opt/innereye-runtime/packages
"""
"""Plain, without BuildKit's extensions: the builder of AzureML need not have them."""
_BIND = """\
RUN --mount=type=bind,source=packages,target=/build/packages \\
    --mount=type=cache,target=/root/.cache/uv --mount=type=cache,target=/opt/innereye-runtime-tools \\
    --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \\
    --mount=type=secret,id=proxy.env --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem \\
    --mount=type=secret,id=variables.env \\
    TOOLS=/opt/innereye-runtime-tools bash /build/packages/install-packages /build/packages
"""


def instructions(*, buildkit: bool) -> str:
    """The part of a Dockerfile that installs the packages."""
    return _BIND if buildkit else _COPY


def digest_of_packages(requirements: Requirements, base: str) -> str:
    """Twelve hexadecimal digits over all that decides what is installed on `base`: the same for the same inputs.

    Raises:
        DataError: a wheel that the requirements name can't be read.
    """
    digest = hashlib.sha256()
    parts = {**_files(requirements), SCRIPT: source_tree.find(f"images/{SCRIPT}").read_bytes(), "base": base.encode()}
    for name, content in sorted(parts.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    for wheel in _wheels(requirements):
        digest.update(f"{wheel.name}\0".encode())
        try:
            digest.update(hashlib.sha256(wheel.read_bytes()).digest())
        except OSError as error:
            raise DataError(f"{wheel} can't be read: {error.strerror}", hint="check its permissions") from error
    return digest.hexdigest()[:12]


def write_context(folder: Path, requirements: Requirements) -> None:
    """Fills `folder` with what the instructions install."""
    (folder / "wheels").mkdir(parents=True)
    for name, content in _files(requirements).items():
        (folder / name).write_bytes(content)
    for wheel in _wheels(requirements):
        shutil.copy2(wheel, folder / "wheels" / wheel.name)
    shutil.copy2(source_tree.find(f"images/{SCRIPT}"), folder / SCRIPT)


def _files(requirements: Requirements) -> dict[str, bytes]:
    kept = [each for each in requirements.requirements if not _OF_TORCH.fullmatch(each.name)]
    lines = [*requirements.options, *map(_line, kept)]
    system = list(requirements.system)
    if any("git+" in each.text for each in kept) and "git" not in system:
        system.append("git")
    texts = {
        "requirements.txt": lines,
        "constraints.txt": [each.text for each in requirements.constraints],
        "system.txt": system,
    }
    return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in texts.items()}


def _line(requirement: Requirement) -> str:
    if requirement.wheel is not None:
        return f"./wheels/{requirement.wheel.name}"
    return " ".join([requirement.text, *(f"--hash={each}" for each in requirement.hashes)])


def _wheels(requirements: Requirements) -> list[Path]:
    return sorted({each.wheel for each in requirements.requirements if each.wheel is not None})
