"""The environment of a job without an image of its own: a build context with this package, from which AzureML makes
one.
"""

from __future__ import annotations

from pathlib import Path

from innereye_runtime.targets.source_tree import write_source_tree

BASE = "python:3.11-slim-bookworm"
DOCKERFILE = f"""\
FROM {BASE}
COPY . /opt/innereye-runtime/source
RUN pip install --no-cache-dir "/opt/innereye-runtime/source[train,mlflow]" \\
    -c /opt/innereye-runtime/source/constraints.txt
ENV PYTHONUNBUFFERED=1
"""
"""Plain, without BuildKit's extensions: the service's builder need not have them."""


def build_context(folder: Path) -> Path:
    """`folder`, filled with this package's source tree and a Dockerfile.

    Raises:
        ImageError: the installed package does not carry the files around it.
    """
    write_source_tree(folder)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    return folder
