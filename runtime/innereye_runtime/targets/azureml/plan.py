"""A job for Azure Machine Learning as a value: the whole request but for what only the moment of submitting can
tell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from innereye_runtime.data.sources.blobs import BlobUrl
from innereye_runtime.errors import UsageError
from innereye_runtime.job.datasets import datasets_of, unknown_ids
from innereye_runtime.job.packages import described
from innereye_runtime.job.process_count import processes_of
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import AzureMLSettings, Dataset, Manifest
from innereye_runtime.manifest.serializer import dump
from innereye_runtime.targets.azureml.command import command_of, manifest_place
from innereye_runtime.targets.azureml.environment import PackagesEnvironment, base_image, plan_environment
from innereye_runtime.targets.azureml.job_file import folder_path, job_data, job_text
from innereye_runtime.targets.azureml.local_files import NamedFile, named_files
from innereye_runtime.targets.azureml.node_paths import with_own_paths
from innereye_runtime.targets.azureml.own_fields import refuse_managed_fields, refuse_reserved_names
from innereye_runtime.targets.azureml.settings import WorkspaceSettings, find_workspace
from innereye_runtime.targets.azureml.sweep_job import (
    SweepFields,
    sweep_fields,
    trial_manifest,
)
from innereye_runtime.targets.azureml.weights import GivenWeights, weights_of

DATASTORE = "workspaceblobstore"
"""The datastore where the manifest names none: each workspace has it."""
IMAGE_VARIABLE = "INNEREYE_AZUREML_IMAGE"
"""The image where the manifest names none."""
_ASSET = re.compile(r"[A-Za-z0-9][\w.-]*(?P<version>:[\w.-]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A dataset of the job."""

    name: str
    id: str
    """The manifest's."""
    path: str
    """What the id stands for: the URL of a folder of blobs, a data asset (the newest version where none is named), or a
    folder of the datastore.
    """
    mode: str
    """As AzureML has it: ro_mount or download."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMLPlan:
    workspace: WorkspaceSettings
    cluster: str | None
    """None: the job is serverless."""
    instance_type: str | None
    job_tier: str | None
    experiment: str
    display_name: str
    image: str | None
    """None: an environment is built from this project on `base`, or named by `environment`."""
    base: str
    environment_name: str | None
    """An environment of the workspace or of a registry, as the manifest has it."""
    packages: PackagesEnvironment | None
    """The environment with the manifest's packages."""
    command: str
    code: Path
    manifest_place: str
    """In the job's code."""
    manifest_text: str
    """The effective manifest, which lies at `manifest_place` when the job runs."""
    inputs: tuple[Input, ...]
    """The datasets."""
    named_files: tuple[NamedFile, ...]
    """Files of this machine that arguments name, which have to be part of the code; none for a run that is resumed."""
    weights: tuple[GivenWeights, ...]
    """What `src_checkpoint` and `model_id` name."""
    settings: AzureMLSettings
    """As the manifest has them: what goes into the job file as it is."""
    datastore: str
    """Of the run folders, and of datasets that are no data assets."""
    location: str
    """Of the run folders, in the datastore: the run's name comes below it."""
    run_folder: Path | None
    """Of the run to go on with; None: a new one."""
    restart: bool
    """No checkpoint of `run_folder` counts."""
    outputs_folder: Path
    model_name: str
    """In the name of the run folder; of a sweep, the name of the manifest."""
    nodes: int
    processes: int
    """On each node."""
    shm_size: str | None
    max_seconds: int | None
    environment: Mapping[str, str]
    secrets: tuple[str, ...]
    tags: Mapping[str, str]
    own_fields: Mapping[str, Any]
    """Of the job file, merged into it as the user wrote them."""
    sweep: SweepFields | None
    """None: it is one run."""
    manifest: Manifest = field(compare=False, repr=False)

    def describe(self) -> dict[str, Any]:
        workspace = {key: getattr(self.workspace, key) for key in ("subscription_id", "resource_group", "workspace")}
        return {
            "target": "azureml",
            "workspace": {
                key: f"{setting.value} ({setting.origin})" if setting else None for key, setting in workspace.items()
            },
            "secrets": list(self.secrets),
            **described(self.packages.requirements if self.packages else None),
            "job": job_data(self),
        }

    def job_file(self) -> str:
        """The job as the YAML that `az ml job create --file` takes."""
        return job_text(self)


def plan_for(job: Job, environment: Mapping[str, str] | None = None) -> AzureMLPlan:
    """The plan of `job`. Reads files of this machine only; `environment`: default, this process's.

    Raises:
        DataError: a dataset's id is meant as the URL of a folder of blobs, and is none.
        UsageError: what the manifest asks for can't be had in AzureML.
    """
    place = manifest_place(job)
    job = with_own_paths(job, place)
    manifest = job.manifest
    compute, settings = manifest.compute, manifest.compute.azureml
    if not (settings.cluster or settings.instance_type):
        raise UsageError(
            "neither compute.azureml.cluster nor compute.azureml.instance_type is set",
            hint="name the compute cluster of the workspace that runs the job, or the size of a machine for a "
            "serverless job",
        )
    refuse_managed_fields(settings.job)
    refuse_reserved_names(settings)
    environment = os.environ if environment is None else environment
    datastore = settings.datastore or _text(job, "datastore") or DATASTORE
    inputs = tuple(_input(index, dataset, datastore) for index, dataset in enumerate(_datasets(job)))
    weights = weights_of(job)
    sweep = sweep_fields(manifest)
    if sweep is not None and settings.services:
        raise UsageError(
            "'services' of compute.azureml are not for the trials of a sweep",
            hint="delete 'services', or start one run by itself",
        )
    experiment = settings.experiment or _text(job, "experiment") or manifest.name
    tag = _text(job, "tag")
    image = None if settings.environment else settings.image or environment.get(IMAGE_VARIABLE) or None
    packages, base = None, base_image(environment)
    if job.requirements is not None and settings.environment is None:
        packages = plan_environment(job.requirements, image, base)
    manifest_text = dump(manifest if sweep is None else trial_manifest(manifest))
    return AzureMLPlan(
        workspace=find_workspace(settings, environment, job.code_root, has_manifest=job.text is None),
        cluster=settings.cluster,
        instance_type=settings.instance_type,
        job_tier=settings.job_tier,
        experiment=_safe(experiment),
        display_name=manifest.name,
        image=image,
        base=base,
        environment_name=settings.environment,
        packages=packages,
        command=command_of(
            job, place, [one.name for one in inputs], {one.parameter: one.input for one in weights}, sweep
        ),
        code=job.code_root,
        manifest_place=place,
        manifest_text=manifest_text,
        inputs=inputs,
        named_files=named_files(job, manifest_text) if job.run_folder is None or job.restart else (),
        weights=weights,
        settings=settings,
        datastore=datastore,
        location=f"innereye-runtime/{_safe(experiment)}",
        run_folder=job.run_folder,
        restart=job.restart,
        outputs_folder=job.outputs_folder,
        model_name=job.model_name if sweep is None else manifest.name,
        nodes=compute.nodes,
        processes=_processes(job),
        shm_size=_shared_memory(compute.shm_size.bytes) if compute.shm_size else None,
        max_seconds=compute.max_duration.seconds if compute.max_duration else None,
        environment=dict(manifest.environment),
        secrets=manifest.secrets,
        tags={
            "model": job.model_name,
            "manifest": manifest.path.name if manifest.path else place,
            **({"tag": tag} if tag else {}),
            **settings.tags,
        },
        own_fields=settings.job,
        sweep=sweep,
        manifest=manifest,
    )


def _text(job: Job, name: str) -> str:
    """The container's own value; '' where it has none, or only the imported class will tell."""
    argument = job.arguments.get(name)
    return argument.value if argument is not None and isinstance(argument.value, str) else ""


def _datasets(job: Job) -> tuple[Dataset, ...]:
    """Those that become inputs. A folder that only the image has is left to the running side.

    Raises:
        UsageError: one has no id, or its id can't be told before the class is imported.
    """
    if unknown := unknown_ids(job):
        raise UsageError(
            f"the source of {job.model_name} does not show {' and '.join(unknown)}, which target azureml needs",
            hint=f"add --{unknown[0]}=NAME, or the dataset's id to the manifest",
        )
    datasets = datasets_of(job)
    if not any(dataset.id or (dataset.local and dataset.local.exists()) for dataset in datasets):
        return ()
    for dataset in datasets:
        if not dataset.id:
            raise UsageError(
                f"{job.model_name}: the dataset {dataset.local} has no id, which target azureml needs",
                hint="add --azure_dataset_id=NAME: a data asset, or a folder of the datastore",
            )
    return datasets


def _input(index: int, dataset: Dataset, datastore: str) -> Input:
    mode = "download" if dataset.mode == "download" else "ro_mount"
    return Input(name=f"dataset_{index}", id=dataset.id, path=_data_path(dataset.id, datastore), mode=mode)


def _data_path(id: str, datastore: str) -> str:
    if id.startswith("azure://"):
        url = BlobUrl.parse(id)
        return f"wasbs://{url.container}@{url.account}.blob.core.windows.net/{url.path}"
    if id.startswith("azureml://"):
        return id
    match = _ASSET.fullmatch(id)
    if match is None:
        return folder_path(id, datastore)
    return f"azureml:{id}" if match["version"] else f"azureml:{id}@latest"


def _processes(job: Job) -> int:
    """On each node; with all GPUs of a single one, the entrypoint counts them and starts as many itself."""
    processes = processes_of(job)
    if processes is None and job.manifest.compute.nodes > 1:
        raise UsageError(
            "compute.gpus is 'all', and the number of GPUs of a cluster node is not known here",
            hint="for more than one node, set the number of GPUs that each has",
        )
    return processes or 1


def _shared_memory(size: int) -> str:
    """The largest of AzureML's units that fits: its sizes end in b, k, m or g, and have no fractions."""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}b"


def _safe(name: str) -> str:
    """As AzureML has names of experiments: letters, digits, '-' and '_', no other first than a letter or a digit."""
    return re.sub(r"^[^A-Za-z0-9]+", "", re.sub(r"[^A-Za-z0-9_-]+", "-", name))[:255] or "innereye-runtime"
