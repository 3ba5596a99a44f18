"""`compute.azureml.job`: fields of a command job that the user writes in Azure's words, merged into the job file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.model import AzureMLSettings

ELSEWHERE: Mapping[str, str] = {
    "$schema": "the runtime writes it",
    "type": "the job is a command",
    "command": "the runtime writes it; arguments of the class are in container.args",
    "code": "it is the folder of the manifest's project",
    "name": "each job gets one of its own; the manifest's 'name' is its display name",
    "display_name": "write 'name' at the top of the manifest",
    "compute": "write 'cluster' in 'compute.azureml'",
    "distribution": "it follows from 'nodes' and 'gpus' in 'compute'",
    "environment": "write 'environment' or 'image' in 'compute.azureml'",
    "experiment_name": "write 'experiment' in 'compute.azureml'",
    "outputs.run": "it is the run folder; 'datastore' in 'compute.azureml' says where it lies",
    "resources.instance_count": "write 'nodes' in 'compute'",
    "resources.instance_type": "write 'instance_type' in 'compute.azureml'",
    "resources.shm_size": "write 'shm_size' in 'compute'",
    "identity.type": "write 'identity' in 'compute.azureml'",
    "identity.client_id": "write 'client_id' in 'compute.azureml'",
    "services": "write 'services' in 'compute.azureml'",
    "queue_settings.job_tier": "write 'job_tier' in 'compute.azureml'",
    "limits.timeout": "write 'max_duration' in 'compute'",
}
"""Fields that have a key of their own in a manifest, or that the runtime sets: what to do instead."""
_INPUTS, _TAG = ("inputs.dataset_", "inputs.given_"), "tags.innereye-runtime."


def merge(data: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with the fields of `own` in it: mappings are merged, everything else of `own` is taken as it is."""
    merged = dict(data)
    for key, value in own.items():
        known = merged.get(key)
        merged[key] = merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def refuse_managed_fields(own: Mapping[str, Any]) -> None:
    """Returns where every field of `own` is the user's to set.

    Raises:
        UsageError: one has a key of its own in a manifest, or is the runtime's; names it and what to do instead.
    """
    for name in _names(own):
        if name in ELSEWHERE:
            raise UsageError(f"compute.azureml.job: '{name}' can't be set there", hint=ELSEWHERE[name])
        if name.startswith((*_INPUTS, _TAG)):
            raise UsageError(
                f"compute.azureml.job: '{name}' is a name that the runtime uses itself", hint="choose another name"
            )
    for section in {name.partition(".")[0] for name in (*ELSEWHERE, *_INPUTS, _TAG) if "." in name} & own.keys():
        if not isinstance(own[section], Mapping):
            raise UsageError(
                f"compute.azureml.job: '{section}' has to be a mapping", hint="its fields are merged into the runtime's"
            )


def refuse_reserved_names(settings: AzureMLSettings) -> None:
    """Returns where no further input or output has a name that the runtime uses itself.

    Raises:
        UsageError: one has.
    """
    taken = [f"inputs.{name}" for name in settings.inputs if f"inputs.{name}".startswith(_INPUTS)]
    taken += [f"outputs.{name}" for name in settings.outputs if name in ("run", "default")]
    if taken:
        raise UsageError(
            f"compute.azureml: '{taken[0]}' is a name that the runtime uses itself", hint="choose another name"
        )


def _names(own: Mapping[str, Any]) -> Iterator[str]:
    for key, value in own.items():
        yield str(key)
        if isinstance(value, Mapping):
            yield from (f"{key}.{name}" for name in value)
