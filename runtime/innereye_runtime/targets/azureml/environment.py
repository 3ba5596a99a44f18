"""The environment of a job without an image of its own: a build context with this package, from which AzureML makes
one.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from innereye_runtime.errors import ImageError

BASE = "python:3.11-slim-bookworm"
PARTS = ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "schema", "runtime")
DOCKERFILE = f"""\
FROM {BASE}
COPY . /opt/innereye-runtime/source
RUN pip install --no-cache-dir "/opt/innereye-runtime/source[train,mlflow]" \\
    -c /opt/innereye-runtime/source/constraints.txt
ENV PYTHONUNBUFFERED=1
"""
"""Plain, without BuildKit's extensions: the service's builder need not have them."""


def build_context(folder: Path) -> Path:
    """`folder`, filled with this package's source and a Dockerfile.

    Raises:
        ImageError: this is no checkout of the project, so that there is no source to build from.
    """
    root = Path(__file__).resolve().parents[4]
    if not all((root / part).exists() for part in PARTS):
        raise ImageError(
            "compute.azureml.image is not set, and only a checkout of innereye-runtime can build an environment",
            hint="push an image to a registry that the workspace can pull from (innereye-run image build makes one), "
            "and set compute.azureml.image",
        )
    folder.mkdir(parents=True)
    for part in PARTS:
        source = root / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".*"))
        else:
            shutil.copy2(source, folder / part)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder
