"""The manifest as the rest of the program sees it: frozen, checked, with units as types and paths made absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from innereye_runtime.manifest.dataset_ids import canonical
from innereye_runtime.manifest.units import Duration, Memory

if TYPE_CHECKING:
    from innereye_runtime.manifest.sweep import CrossValidation, Sweep

TargetName = str
"""process, docker, slurm, azureml, or one that another distribution brings."""
Gpus = Literal["none", "all"] | int | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    class_name: str
    """A bare class name, to be found in `namespaces`, or `package.module:ClassName`."""
    namespaces: tuple[str, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassArgs:
    """A class that is named without a container, and the arguments of its `__init__`."""

    class_name: str
    """`package.module:ClassName`."""
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    id: str = ""
    local: Path | None = None
    """Absolute."""
    mode: Literal["mount", "download", "auto"] = "mount"
    strict: bool = False
    sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", canonical(self.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What the user's code needs beyond the runtime."""

    requirements: Path | tuple[str, ...] = ()
    """Absolute; a requirements file of one of several kinds, as `pyproject.toml[train]` with extras. Or a list."""
    system: tuple[str, ...] = ()
    """Debian packages, for images."""

    def __bool__(self) -> bool:
        return bool(self.requirements or self.system)

    @property
    def listed(self) -> tuple[str, ...]:
        """The requirements of the manifest itself."""
        return () if isinstance(self.requirements, Path) else self.requirements

    @property
    def file(self) -> Path | None:
        return Path(self._split()[0]) if isinstance(self.requirements, Path) else None

    @property
    def extras(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self._split()[1].split(",") if name.strip())

    def _split(self) -> tuple[str, str]:
        text = str(self.requirements)
        path, bracket, extras = text.partition(".toml[")
        return (f"{path}.toml", extras[:-1]) if bracket and extras.endswith("]") else (text, "")


CHECKPOINT_EVERY: Final = Duration(30 * 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    num_epochs: int | None = None
    checkpoint_every: Duration | None = None
    """None: `CHECKPOINT_EVERY`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Given to `pytorch_lightning.Trainer` as they are."""

    @property
    def checkpoint_seconds(self) -> int:
        return (self.checkpoint_every or CHECKPOINT_EVERY).seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often a job is started again, by the kind of its failure."""

    preempted: int = 3
    infrastructure: int = 2
    user: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSettings:
    image: str | None = None
    """Default: `innereye-runtime:cpu`, or `innereye-runtime:gpu` where GPUs are asked for."""
    memory: Memory | None = None
    cpus: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureMLSettings:
    subscription_id: str | None = None
    resource_group: str | None = None
    workspace: str | None = None
    cluster: str | None = None
    """None: the job is serverless."""
    instance_type: str | None = None
    job_tier: Literal["spot", "basic", "standard", "premium"] | None = None
    identity: Literal["token", "managed", "user"] | None = None
    client_id: str | None = None
    """Of the managed identity."""
    datastore: str | None = None
    """Default: `workspaceblobstore`."""
    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    """Default: an environment built from the project."""
    environment: str | None = None
    """Of the workspace or a registry, in place of an image: azureml:NAME@latest."""
    inputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Beside the datasets, in Azure's words."""
    outputs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Beside the run folder, in Azure's words."""
    services: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    job: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Azure's command job, merged into the job file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Duration | None = None
    """Default: max_duration, else the partition's own limit."""
    mem_per_cpu: Memory | None = None
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    target: TargetName = "process"
    gpus: Gpus = "none"
    processes: int | None = None
    """On each node. None: one for each GPU, and one where there is none."""
    nodes: int = 1
    shm_size: Memory | None = None
    max_duration: Duration | None = None
    retries: Retries = Retries()
    detach: bool | None = None
    docker: DockerSettings = DockerSettings()
    slurm: SlurmSettings = SlurmSettings()
    azureml: AzureMLSettings = AzureMLSettings()
    external: Mapping[str, Any] = field(default_factory=dict)
    """The settings of a target that another distribution brings, as `compute.<target>` has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """As what the model of a run is registered."""

    name: str
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    folder: Path | str | None = None
    """An absolute path, or azure://ACCOUNT/CONTAINER/PATH; None: `outputs` in the working directory of the command."""
    expect: tuple[str, ...] = ()
    """Globs, relative to the run folder; each must match a file that is not empty."""
    register: Registration | None = None

    @property
    def local(self) -> Path | None:
        """The folder of this machine that `folder` names."""
        return self.folder if isinstance(self.folder, Path) else None

    @property
    def remote(self) -> str:
        """The folder of blobs that run folders are copied to; '': none."""
        return self.folder if isinstance(self.folder, str) else ""

    def described(self, run: str) -> dict[str, str]:
        """What a plan says of the copy of the run folder `run`: nothing where there is none."""
        return {"copied_to": f"{self.remote}/{run.rpartition('/')[2]}"} if self.remote else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    path: Path | None
    """Absolute; None for a manifest that was made in memory (the old command line)."""
    name: str
    container: Container
    """Without a name where `model` is there: it has arguments of the runtime alone."""
    model: ClassArgs | None = None
    data: ClassArgs | None = None
    datasets: tuple[Dataset, ...] = ()
    packages: Packages = Packages()
    trainer: Trainer = Trainer()
    compute: Compute = Compute()
    sweep: Sweep | None = None
    cross_validation: CrossValidation | None = None
    outputs: Outputs = Outputs()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of environment variables; the values come from the caller's environment and stand nowhere."""
