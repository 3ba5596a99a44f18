"""A checked document -> frozen `Manifest`: units as types, paths absolute, defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.dataset_ids import canonical, is_remote
from innereye_runtime.manifest.model import (
    AzureMLSettings,
    ClassArgs,
    Compute,
    Container,
    Dataset,
    DockerSettings,
    Manifest,
    Outputs,
    Packages,
    Registration,
    Retries,
    SlurmSettings,
    Trainer,
)
from innereye_runtime.manifest.units import Duration, Memory


def build(value: Mapping[str, Any], *, path: Path | None, folder: Path) -> Manifest:
    """The manifest that `value` says, relative paths taken from `folder`. `value` has to be valid."""
    value = _written(value)
    container = build_container(value.get("container", {}))
    model, data = build_class(value.get("model")), build_class(value.get("data"))
    datasets = value.get("datasets", [value["dataset"]] if "dataset" in value else [])
    outputs = _written(value.get("outputs", {}))
    return Manifest(
        path=path,
        name=value.get("name", (model or container).class_name.rpartition(":")[2]),
        container=container,
        model=model,
        data=data,
        datasets=tuple(_dataset(item, folder) for item in datasets),
        packages=build_packages(value.get("packages", {}), folder),
        trainer=_trainer(value.get("trainer", {})),
        compute=_compute(value.get("compute", {})),
        **_several_runs(value),
        outputs=Outputs(
            folder=_outputs_folder(outputs.get("folder"), folder),
            expect=tuple(outputs.get("expect", ())),
            register=Registration(**_written(outputs["register"])) if "register" in outputs else None,
        ),
        environment=dict(value.get("environment", {})),
        secrets=tuple(value.get("secrets", ())),
    )


def _several_runs(value: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of a manifest that make several runs of it."""
    if not value.get("sweep") and "cross_validation" not in value:
        return {}
    from innereye_runtime.manifest.sweep import build_folds, build_sweep  # 5 ms, and most manifests have neither

    return {
        "sweep": build_sweep(value["sweep"]) if value.get("sweep") else None,
        "cross_validation": build_folds(value["cross_validation"]) if "cross_validation" in value else None,
    }


def build_container(value: Mapping[str, Any]) -> Container:
    """The `container` part alone; beside a `model` it names no class."""
    return Container(
        class_name=value.get("class", ""),
        namespaces=tuple(value.get("namespaces", ())),
        args=dict(value.get("args", {})),
    )


def build_class(value: Mapping[str, Any] | None) -> ClassArgs | None:
    """The `model` or `data` part alone."""
    return None if value is None else ClassArgs(class_name=value["class"], args=dict(value.get("args", {})))


def absolute(text: str, folder: Path) -> Path:
    """The path that `text` names, `~` and `..` resolved by name only: links stay as they are."""
    import os.path

    return Path(os.path.normpath(folder / expanded(Path(text))))


def expanded(path: Path) -> Path:
    """The path with its `~` replaced; as it is where this machine knows no such user, and so has no such path."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _written(value: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys that have an empty text: an editor's completion writes those."""
    return {name: item for name, item in value.items() if item != ""}


def _outputs_folder(text: str | None, folder: Path) -> Path | str | None:
    if text is None:
        return None
    return canonical(text).rstrip("/") if is_remote(text) else absolute(text, folder)


def _dataset(value: Mapping[str, Any], folder: Path) -> Dataset:
    value = _written(value)
    local = absolute(value["local"], folder) if "local" in value else None
    return Dataset(**{**value, "local": local})


def build_packages(value: Mapping[str, Any], folder: Path) -> Packages:
    """The `packages` part alone."""
    value = _written(value)
    named = value.get("requirements", [])
    requirements = tuple(named) if isinstance(named, list) else absolute(named, folder)
    return Packages(requirements=requirements, system=tuple(value.get("system", ())))


def _trainer(value: Mapping[str, Any]) -> Trainer:
    every = value.get("checkpoint_every")
    return Trainer(
        num_epochs=value.get("num_epochs"),
        checkpoint_every=Duration.parse(every) if every else None,
        arguments=dict(value.get("arguments", {})),
    )


def _compute(value: Mapping[str, Any]) -> Compute:
    value = _written(value)
    azureml = _written(value.get("azureml", {}))
    if "tags" in azureml:
        azureml["tags"] = dict(azureml["tags"])
    if "job" in azureml:
        azureml["job"] = dict(azureml["job"])
    for part in ("inputs", "outputs", "services"):
        azureml[part] = {name: _written(one) for name, one in azureml.get(part, {}).items()}
    docker = {name: item for name, item in _written(value.get("docker", {})).items() if (name, item) != ("cpus", 0)}
    if "memory" in docker:
        docker["memory"] = Memory.parse(docker["memory"])
    slurm = _written(value.get("slurm", {}))
    units: dict[str, type[Memory] | type[Duration]] = {"time": Duration, "mem_per_cpu": Memory}
    slurm |= {name: unit.parse(slurm[name]) for name, unit in units.items() if name in slurm}
    if "modules" in slurm:
        slurm["modules"] = tuple(slurm["modules"])
    gpus, target = value.get("gpus", "none"), value.get("target", "process")
    return Compute(
        target=target,
        gpus=tuple(gpus) if isinstance(gpus, list) else gpus,
        processes=value.get("processes"),
        nodes=value.get("nodes", 1),
        shm_size=Memory.parse(value["shm_size"]) if "shm_size" in value else None,
        max_duration=Duration.parse(value["max_duration"]) if "max_duration" in value else None,
        retries=Retries(**value.get("retries", {})),
        detach=value.get("detach"),
        docker=DockerSettings(**docker),
        slurm=SlurmSettings(**slurm),
        azureml=AzureMLSettings(**azureml),
        external=dict(value.get(target, {})) if target not in ("process", "docker", "slurm", "azureml") else {},
    )
