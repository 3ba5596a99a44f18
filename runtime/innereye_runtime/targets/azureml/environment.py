"""The environment of a job without an image of its own: a build context, from which AzureML makes one. With packages,
it is registered by a digest of its inputs, and found again.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.errors import InnerEyeError, UsageError
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.session import Session, suppress_azure_output
from innereye_runtime.targets.docker.source_digest import source_digest
from innereye_runtime.targets.packages_context import digest_of_packages, instructions, write_context
from innereye_runtime.targets.source_tree import write_source_tree

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

    from innereye_runtime.packages.requirement import Requirements

BASE = "python:3.11-slim-bookworm"
BASE_VARIABLE = "INNEREYE_AZUREML_BASE"
"""Another base, such as that one with its digest: it needs Python 3.11 or newer, with pip."""
_SOURCE = "/opt/innereye-runtime/source"
DOCKERFILE = f"""\
FROM {{base}}
COPY . {_SOURCE}
RUN pip install --no-cache-dir --require-hashes --no-deps --target /opt/tools -r {_SOURCE}/images/tools.txt \\
    && PYTHONPATH=/opt/tools pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /opt/wheel {_SOURCE} \\
    && rm -rf /opt/tools
RUN pip install --no-cache-dir --require-hashes --no-deps -r {_SOURCE}/images/torch-gpu.txt \\
    -r {_SOURCE}/images/requirements-gpu.txt
RUN pip install --no-cache-dir --no-deps --no-index /opt/wheel/*.whl && pip check && rm -rf /opt/wheel
ENV PYTHONUNBUFFERED=1
"""
"""Plain, without BuildKit's extensions: the service's builder need not have them. Every file that pip downloads has a
hash in the locks of `images`.
"""


def base_image(environment: Mapping[str, str]) -> str:
    """The image that environments are built on, where the manifest names none."""
    return environment.get(BASE_VARIABLE) or BASE


def build_context(folder: Path, base: str = BASE) -> Path:
    """`folder`, filled with this package's source tree and a Dockerfile.

    Raises:
        ImageError: the installed package does not carry the files around it.
    """
    write_source_tree(folder)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagesEnvironment:
    """The environment with a manifest's packages."""

    requirements: Requirements
    image: str | None
    """The image that they are installed into; None: one that is built from this package's source on `base`."""
    base: str
    digest: str
    """Of the packages."""
    version: str
    """Of what they are installed into: the image's name, or this package's source."""

    @property
    def name(self) -> str:
        return f"innereye-runtime-{self.digest}"


def plan_environment(requirements: Requirements, image: str | None, base: str = BASE) -> PackagesEnvironment:
    """The environment of `requirements` on `image`. Reads files of this machine only."""
    below = image or f"{DOCKERFILE.format(base=base)}{source_digest()}"
    return PackagesEnvironment(
        requirements=requirements,
        image=image,
        base=base,
        digest=digest_of_packages(requirements, image or base),
        version=hashlib.sha256(below.encode()).hexdigest()[:12],
    )


def ensure_environment(session: Session, wanted: PackagesEnvironment) -> str:
    """The reference of the environment, which is registered where the workspace does not have it yet.

    Raises:
        ImageError: the installed package does not carry the files around it.
        PreflightError: the workspace can't be asked, or refuses.
        UsageError: a requirement names a variable, whose value the service does not have.
    """
    reference = f"azureml:{wanted.name}:{wanted.version}"
    doing = f"looking for environment {wanted.name}"
    try:
        session.call(doing, lambda client: client.environments.get(wanted.name, version=wanted.version))
        return reference
    except InnerEyeError as error:
        if not is_not_found(error):
            raise
    if wanted.requirements.variables:
        raise UsageError(
            f"{wanted.requirements.file} names {', '.join(wanted.requirements.variables)}, and Azure Machine Learning "
            "builds the environment without these values",
            hint="give the workspace a connection to the index, or name an image in compute.azureml.image",
        )
    with tempfile.TemporaryDirectory(prefix="innereye-runtime-environment-") as folder:
        context = packages_context(Path(folder) / "context", wanted)
        _register(session, wanted, context)
    return reference


def packages_context(folder: Path, wanted: PackagesEnvironment) -> Path:
    """`folder`, filled with the build context of `wanted`."""
    if wanted.image is None:
        write_source_tree(folder)
        top = DOCKERFILE.format(base=wanted.base)
    else:
        folder.mkdir(parents=True)
        top = f"FROM {wanted.image}\n"
    write_context(folder / "packages", wanted.requirements)
    (folder / "Dockerfile").write_text(f"{top}{instructions(buildkit=False)}")
    return folder


def _register(session: Session, wanted: PackagesEnvironment, context: Path) -> None:
    from azure.ai.ml.entities import BuildContext, Environment

    environment = Environment(
        name=wanted.name,
        version=wanted.version,
        description="innereye-runtime with the packages of a manifest",
        build=BuildContext(path=str(context)),
    )

    def register(client: MLClient) -> None:
        with suppress_azure_output():
            client.environments.create_or_update(environment)

    session.call(f"registering environment {wanted.name}", register)
