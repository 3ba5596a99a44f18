"""What the manifest's `packages` ask for is there, or will be built when the job starts."""

from __future__ import annotations

from innereye_runtime.errors import ImageError, PreflightError
from innereye_runtime.job.packages import check_installed
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped, warning

NAME = "packages"


def check(subject: CheckContext) -> CheckResult:
    requirements = subject.requirements
    if requirements is None:
        return ok("the manifest names none")
    count = f"{len(requirements.requirements)} required"
    if subject.target == "process":
        try:
            check_installed(requirements)
        except PreflightError as error:
            return failed(error)
        return ok(f"{count}, all installed")
    if subject.target == "docker":
        return _of_docker(subject, count)
    manifest = subject.manifest
    if manifest is not None and (environment := manifest.compute.azureml.environment):
        return warning(
            f"{count}, and {environment} has to have them", "they are not installed into a named environment"
        )
    return ok(f"{count}; the environment with them is registered when the first job is submitted, and found again")


def _of_docker(subject: CheckContext, count: str) -> CheckResult:
    from innereye_runtime.targets.docker.packages_build import plan_packages_build
    from innereye_runtime.targets.docker.packages_image import find_image

    assert subject.requirements is not None
    try:
        request = plan_packages_build(subject.requirements, base=subject.image_reference)
        found = find_image(subject.client, request)
    except PreflightError:
        return skipped("needs the engine")
    except ImageError:
        return skipped("needs the image")
    if found is None:
        return ok(f"{count}; the image {request.tag} is built when the job starts")
    return ok(f"{count}, in the image {request.tag}")
