"""The packages of a job: the manifest's requirements as a value, and what is wrong with them at their place."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.loading import Loaded
from innereye_runtime.manifest.model import Manifest

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Problem, Requirements

IMAGE_PYTHON = "3.11"
"""Of the runtime's own images."""
_PATH = ("packages", "requirements")


def requirements_of(loaded: Loaded) -> tuple[Requirements | None, list[Diagnostic]]:
    """What the manifest's `packages` ask for, and every problem of it; None where it has none.

    Reads the files that the manifest names.
    """
    if not loaded.packages:
        return None, []
    from innereye_runtime.packages import reading, tested  # only where a manifest has packages

    manifest = loaded.manifest
    python = IMAGE_PYTHON if manifest is not None and _has_own_image(manifest) else ""
    requirements, problems = reading.read(loaded.packages, python=python)
    if python and not problems:
        problems = tuple(tested.conflicts(requirements, python))
    return requirements, list(_diagnostics(loaded, problems))


def installs(requirements: Requirements | None, module: str) -> bool:
    """Whether the requirements name the distribution that a module is most likely from."""
    from packaging.utils import canonicalize_name

    top = module.partition(".")[0]
    wanted = canonicalize_name(_DISTRIBUTIONS.get(top, top))
    return requirements is not None and any(each.name == wanted for each in requirements.requirements)


_DISTRIBUTIONS: Mapping[str, str] = {
    "cv2": "opencv-python",
    "PIL": "pillow",
    "SimpleITK": "SimpleITK",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Distributions whose name is not that of their module."""


def described(requirements: Requirements | None) -> dict[str, Any]:
    """What a plan says of them: nothing where there are none."""
    if requirements is None:
        return {}
    texts = {
        "packages": [each.text for each in requirements.requirements],
        "system_packages": list(requirements.system),
    }
    return {key: value for key, value in texts.items() if value}


def check_installed(requirements: Requirements | None) -> None:
    """Does nothing where this interpreter has what is required.

    Raises:
        PreflightError: it has not; with everything that is missing, and the one command that installs it.
    """
    if requirements is None:
        return
    from innereye_runtime.packages.installed import install_command, python_mismatch, unmet

    if mismatch := python_mismatch(requirements):
        raise PreflightError(mismatch, hint="start innereye-run with that Python, or use --target docker")
    if lacks := unmet(requirements):
        listed = "".join(f"\n  {lack}" for lack in lacks)
        count = "1 package" if len(lacks) == 1 else f"{len(lacks)} packages"
        raise PreflightError(
            f"{count} of the manifest's 'packages' missing or of another version in {sys.prefix}:{listed}",
            hint=f"{install_command(requirements, lacks)}; or use --target docker, which builds an image with them",
        )


def _has_own_image(manifest: Manifest) -> bool:
    """Whether the job's image is one of the runtime's, whose Python and tested versions are known here."""
    compute = manifest.compute
    match compute.target:
        case "docker":
            return compute.docker.image is None or compute.docker.image.startswith("innereye-runtime:")
        case "azureml":
            return compute.azureml.image is None and compute.azureml.environment is None
    return False


def _diagnostics(loaded: Loaded, problems: tuple[Problem, ...]) -> Iterator[Diagnostic]:
    document = loaded.document
    assert document is not None  # it has packages, so its text was read
    file = loaded.packages.file if loaded.packages else None
    for problem in problems:
        path = _PATH if problem.index is None else (*_PATH, problem.index)
        message = problem.message.replace(f"{file.parent}/", "") if file else problem.message
        yield document.diagnostic(problem.code, document.span(path), message, hint=problem.hint)
