"""The container's own say in a job that is about to be submitted: its class is imported for it, and only then."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from innereye_runtime.compat.azure_config import HOOKS
from innereye_runtime.errors import InnerEyeError, PreflightError, UsageError
from innereye_runtime.introspection.arguments.checker import assign
from innereye_runtime.job.resolve import Job


def with_hooks_of_class(job: Job) -> Job:
    """The job as the container's `update_azure_config` and the like leave it. Nothing is imported where the class has
    none of them.

    Raises:
        PreflightError: the class can't be imported on this machine.
        UsageError: a hook changes what can't be changed.
        InnerEyeError: a hook raised.
    """
    hooks = [name for name in HOOKS if name in job.methods]
    if not hooks:
        return job
    told = f"{job.model_name}.{hooks[0]}() is called before a job is submitted"
    if find_spec("torch") is None or find_spec("pytorch_lightning") is None:
        raise PreflightError(
            f"{told}, and the class can't be imported here without PyTorch",
            hint="pip install 'innereye-runtime[train]', or write under compute.azureml of a manifest what it sets",
        )
    from innereye_runtime.compat.azure_config import with_hooks
    from innereye_runtime.introspection.discovery import load

    try:
        container = load(job.location, job.search_path)()
        variant = job.arguments.get("model_variant")
        if variant is not None and variant.value:
            container.set_model_variant(variant.value)
        assign(container, job.arguments)
        return replace(job, manifest=with_hooks(job.manifest, container))
    except UsageError:
        raise
    except ImportError as error:
        raise PreflightError(
            f"{told}, and {job.location.module} can't be imported here: {error}",
            hint="install what it imports, or write under compute.azureml of a manifest what the method sets",
        ) from error
    except Exception as error:
        raise InnerEyeError(f"{told}, and raised {type(error).__name__}: {error}", hint="look at the method") from error
