"""The arguments of an imported container, and the variant of its model, which is set before them."""

from __future__ import annotations

from collections.abc import Mapping

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.api.params.workflow_params import WorkflowParams
from innereye_runtime.errors import ManifestError, UsageError
from innereye_runtime.introspection.arguments.checker import CheckedArguments, check
from innereye_runtime.job.resolve import Job, parse_overrides
from innereye_runtime.parameters.from_class import parameters_of
from innereye_runtime.parameters.parameter import Parameter


def checked_arguments(container: LightningContainer, job: Job) -> tuple[Mapping[str, Parameter], CheckedArguments]:
    """The parameters of the class itself and the job's arguments for them. A variant that they name has been set, so
    that its values are those of the class, which the manifest and the command line win over.

    Raises:
        ManifestError: the class refuses an argument.
        UsageError: it has no such variant.
    """
    parameters, checked = _checked(container, job)
    variant = checked.arguments["model_variant"].value
    is_own = parameters["model_variant"].owner != WorkflowParams.__name__
    has_variants = type(container).set_model_variant is not LightningContainer.set_model_variant
    if variant and (has_variants or not is_own):  # a class may have a parameter of that name for itself
        set_variant(container, str(variant))
        parameters, checked = _checked(container, job)
    return parameters, checked


def set_variant(container: LightningContainer, name: str) -> None:
    """Lets the container change its parameters for the variant `name`.

    Raises:
        UsageError: it has no variants, or not that one.
    """
    cls = type(container)
    if cls.set_model_variant is LightningContainer.set_model_variant:
        raise UsageError(
            f"model_variant is '{name}', and {cls.__name__} has no set_model_variant",
            hint="leave model_variant out, and set the parameters themselves",
        )
    try:
        container.set_model_variant(name)
    except ValueError as error:
        raise UsageError(f"{cls.__name__}.set_model_variant('{name}'): {error}", hint="name another variant") from error


def _checked(container: LightningContainer, job: Job) -> tuple[Mapping[str, Parameter], CheckedArguments]:
    parameters = parameters_of(container)
    if job.direct is not None:
        parameters = job.direct.with_runtime(parameters)
    overrides = parse_overrides(job.overrides)
    checked = check(parameters, loaded=job.loaded, overrides=overrides, cwd=job.cwd, direct=job.direct)
    if any(diagnostic.severity == "error" for diagnostic in checked.diagnostics):
        raise ManifestError(checked.diagnostics)
    return parameters, checked
