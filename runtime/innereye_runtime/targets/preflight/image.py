"""The engine has the image that the manifest names."""

from __future__ import annotations

from innereye_runtime.errors import ImageError, PreflightError
from innereye_runtime.targets.docker.request import LABEL
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped, warning

NAME = "image"
SCHEMA = "1"


def check(subject: CheckContext) -> CheckResult:
    reference = subject.image_reference
    try:
        labels = subject.image["Config"].get("Labels") or {}
    except PreflightError:
        return skipped("needs the engine")
    except ImageError as error:
        return failed(error)
    schema = labels.get(f"{LABEL}.manifest-schema")
    if schema is None:
        return warning(
            f"{reference} does not declare which manifests it reads", "build it FROM innereye-runtime:cpu or :gpu"
        )
    if schema != SCHEMA:
        return failed(
            ImageError(
                f"{reference} reads manifests of schema {schema}, and this one is of schema {SCHEMA}",
                hint="build it again: innereye-run image build",
            )
        )
    return ok(f"{reference} is there, {subject.image['Size'] / 1e9:.2f} GB")
