"""What `update_azure_config` and its successor's hooks change of a job in Azure: taken over, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.manifest.units import Duration, Memory

HOOKS: Final = ("update_azure_config", "update_experiment_config", "get_additional_aml_run_tags")
_TAKEN: Final = {
    "cluster": "cluster",
    "experiment_name": "experiment",
    "experiment": "experiment",
    "azureml_datastore": "datastore",
    "datastore": "datastore",
    "subscription_id": "subscription_id",
    "resource_group": "resource_group",
    "workspace_name": "workspace",
}
"""Attributes that are keys of compute.azureml."""


class AzureConfig:
    """The settings of a job in Azure, as a container's `update_azure_config` gets them and may change them.

    Unset ones are ''. Attributes that it does not have from the start may be set too: they are refused by name.
    """

    def __init__(self, **settings: Any) -> None:
        self.cluster = ""
        self.experiment_name = ""
        self.azureml_datastore = ""
        self.subscription_id = ""
        self.resource_group = ""
        self.workspace_name = ""
        self.tag = ""
        self.num_nodes = 1
        self.docker_shm_size = ""
        self.max_run_duration = ""
        self.__dict__.update(settings)


class ExperimentConfig(AzureConfig):
    """The successor's name of `AzureConfig`."""


def of_manifest(manifest: Manifest, kind: type[AzureConfig] = AzureConfig) -> AzureConfig:
    """The settings that a manifest has."""
    compute, azure = manifest.compute, manifest.compute.azureml
    return kind(
        cluster=azure.cluster or "",
        experiment_name=azure.experiment or "",
        azureml_datastore=azure.datastore or "",
        subscription_id=azure.subscription_id or "",
        resource_group=azure.resource_group or "",
        workspace_name=azure.workspace or "",
        tag=azure.tags.get("tag", ""),
        num_nodes=compute.nodes,
        docker_shm_size=str(compute.shm_size or ""),
        max_run_duration=str(compute.max_duration or ""),
    )


def with_hooks(manifest: Manifest, container: LightningContainer) -> Manifest:
    """The manifest with what the container's hooks change for a job in Azure.

    Raises:
        UsageError: a hook changes what can't be changed here, or to a value that isn't one.
    """
    name = type(container).__name__
    config = of_manifest(manifest)
    container.update_azure_config(config)
    manifest = changed(manifest, config, f"{name}.update_azure_config")
    experiment = of_manifest(manifest, ExperimentConfig)
    container.update_experiment_config(experiment)
    manifest = changed(manifest, experiment, f"{name}.update_experiment_config")
    tags = {str(key): str(value) for key, value in container.get_additional_aml_run_tags().items()}
    return _with_azureml(manifest, tags={**tags, **manifest.compute.azureml.tags})


def changed(manifest: Manifest, config: AzureConfig, where: str) -> Manifest:
    """The manifest with what differs in `config`.

    Raises:
        UsageError: as `with_hooks`.
    """
    before = vars(of_manifest(manifest))
    changes = {name: value for name, value in vars(config).items() if before.get(name, _NOTHING) != value}
    for name, value in changes.items():
        manifest = _taken(manifest, name, value, where)
    return manifest


def _taken(manifest: Manifest, name: str, value: Any, where: str) -> Manifest:
    try:
        match name:
            case "tag":
                return _with_azureml(manifest, tags={**manifest.compute.azureml.tags, "tag": str(value)})
            case "num_nodes":
                return replace(manifest, compute=replace(manifest.compute, nodes=int(value)))
            case "docker_shm_size":
                return replace(manifest, compute=replace(manifest.compute, shm_size=Memory.parse(str(value))))
            case "max_run_duration":
                return replace(manifest, compute=replace(manifest.compute, max_duration=Duration.parse(str(value))))
            case _ if name in _TAKEN:
                return _with_azureml(manifest, **{_TAKEN[name]: str(value) or None})
    except ValueError as error:
        raise UsageError(f"{where} sets {name} to {value!r}: {error}", hint="set it to another value") from error
    raise UsageError(
        f"{where} sets {name}, which can't be changed here",
        hint=f"take that line out; it may set {', '.join(vars(of_manifest(manifest)))}",
    )


def _with_azureml(manifest: Manifest, **settings: Any) -> Manifest:
    azureml = replace(manifest.compute.azureml, **settings)
    return replace(manifest, compute=replace(manifest.compute, azureml=azureml))


_NOTHING: Final[Mapping[str, Any]] = {}
