"""The request for a container, as one frozen value, and the pure step from a job to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.job.datasets import datasets_of, mountpoints_of
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.launch_context import LAUNCH_FILE
from innereye_runtime.job.packages import described
from innereye_runtime.job.process_count import processes_of
from innereye_runtime.manifest.model import Dataset, Gpus, Manifest
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.docker.packages_build import PackagesBuild, plan_packages_build

if TYPE_CHECKING:
    from innereye_runtime.introspection.discovery import Location
    from innereye_runtime.job.resolve import Job

CPU_IMAGE, GPU_IMAGE = "innereye-runtime:cpu", "innereye-runtime:gpu"
LABEL = "innereye-runtime"
"""Before the name of every label; a container with `innereye-runtime.run` is one of ours."""

_PROCESSES = 4096


@dataclass(frozen=True, slots=True, order=True)
class Bind:
    """A path of this machine in the container, at the same path unless `target` says otherwise."""

    source: Path
    read_only: bool = True
    target: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerRequest:
    """All that the engine is asked for. No secret's value is in it."""

    image: str
    command: tuple[str, ...]
    name: str
    user: str
    groups: tuple[int, ...]
    """Further groups of the caller: a dataset is often readable for a group."""
    working_directory: Path
    environment: Mapping[str, str]
    binds: tuple[Bind, ...]
    labels: Mapping[str, str]
    memory: Memory
    cpus: float | None
    shared_memory: Memory
    gpus: Gpus
    processes: int = _PROCESSES
    network: str | None = None
    """One of its own, for several nodes. None: the engine's default."""
    alias: str = ""
    """The name of this node there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUser:
    """Who starts the job, and on what machine."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    memory: Memory

    @classmethod
    def current(cls, environment: Mapping[str, str] = os.environ) -> HostUser:
        """This process's user; behind sudo the one who called it, so that the run folder is theirs."""
        memory = Memory(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        if os.geteuid() == 0 and "SUDO_UID" in environment and "SUDO_GID" in environment:
            return cls(uid=int(environment["SUDO_UID"]), gid=int(environment["SUDO_GID"]), groups=(), memory=memory)
        groups = tuple(sorted(set(os.getgroups()) - {os.getegid()}))
        return cls(uid=os.geteuid(), gid=os.getegid(), groups=groups, memory=memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerPlan:
    """A job as a request for a container. What a start decides (folder, name, launcher) is filled in by `container`."""

    request: ContainerRequest
    handover: EntrypointArgs
    manifest: Manifest
    text: str | None
    """The manifest's text, where it is not a file: it is written into the run folder."""
    model_name: str
    outputs_folder: Path
    caller: HostUser
    datasets: tuple[Dataset, ...]
    """What the launcher brings here before the container starts; where it then lies is not known yet."""
    mountpoints: tuple[Path | None, ...]
    """Where each dataset is bound too; None: nowhere."""
    processes: int | None
    """Of each node, which the container starts; None: one for each GPU that it finds."""
    modules: tuple[Path, ...] = ()
    """The folders that the user's modules are imported from."""
    packages: PackagesBuild | None = None
    """The image with the manifest's packages, which is built where it is not there yet."""

    def describe(self) -> dict[str, Any]:
        request = self.request
        folder = self.handover.run_folder or f"{self.outputs_folder}/<UTC start>_{self.model_name}"
        return {
            "target": "docker",
            "image": request.image,
            "command": ["innereye-runtime", *self.handover.argv()],
            "modules": [str(folder) for folder in self.modules],
            "run_folder": str(folder),
            **self.manifest.outputs.described(str(folder)),
            "user": request.user,
            "mounts": [_told(bind) for bind in request.binds],
            "datasets": [str(dataset.local or dataset.id) for dataset in self.datasets],
            "environment": dict(request.environment),
            "secrets": list(self.manifest.secrets),
            "gpus": request.gpus,
            "nodes": self.manifest.compute.nodes,
            "processes": self.processes or "all GPUs",
            "memory": str(request.memory),
            "cpus": request.cpus,
            "shm_size": str(request.shared_memory),
            "max_duration": str(self.manifest.compute.max_duration or "") or None,
            **({"base_image": self.packages.base, **described(self.packages.requirements)} if self.packages else {}),
        }

    def container(
        self, handover: EntrypointArgs, *, name: str, launch: Path, labels: Mapping[str, str]
    ) -> ContainerRequest:
        """The request for one attempt, in the folder that `handover` names; `launch` is the file for `job.launch`."""
        assert handover.run_folder is not None
        binds = {*self.request.binds, Bind(handover.run_folder, read_only=False), Bind(launch, target=LAUNCH_FILE)}
        return replace(
            self.request,
            command=tuple(handover.argv()),
            name=name,
            binds=in_order(binds),
            labels={**self.request.labels, **{f"{LABEL}.{key}": value for key, value in labels.items()}},
        )


def plan_for(job: Job, caller: HostUser) -> DockerPlan:
    """The request for `job`. Reads nothing but the file system's tree, to mount what is there."""
    manifest, compute = job.manifest, job.manifest.compute
    memory = compute.docker.memory or Memory(caller.memory.bytes * 9 // 10 >> 20 << 20)
    handover = EntrypointArgs(
        manifest=manifest.path or Path("manifest.yaml"),
        overrides=job.overrides,
        target="docker",
        smoke=job.smoke,
        run_folder=job.run_folder,
        code_root=job.code_root,
    )
    environment = dict(manifest.environment)
    if compute.gpus == "none":
        # Where NVIDIA's runtime is the engine's default, every container would get every GPU.
        environment.setdefault("NVIDIA_VISIBLE_DEVICES", "void")
    roots, datasets = list(_import_roots(job)), datasets_to_bring(job)
    points = mountpoints_of(job) if datasets else ()
    if roots:
        environment.setdefault("PYTHONPATH", ":".join(map(str, roots)))
    packages = plan_packages_build(job.requirements, base=image_for(manifest)) if job.requirements else None
    request = ContainerRequest(
        image=packages.tag if packages else image_for(manifest),
        command=tuple(handover.argv()),
        name="",
        user=f"{caller.uid}:{caller.gid}",
        groups=caller.groups,
        working_directory=job.code_root,
        environment=environment,
        binds=in_order(_binds(job, roots, datasets, points)),
        labels={f"{LABEL}.model": job.model_name, f"{LABEL}.manifest": str(manifest.path or "")},
        memory=memory,
        cpus=compute.docker.cpus,
        shared_memory=compute.shm_size or Memory(memory.bytes // 2 >> 20 << 20),
        gpus=compute.gpus,
    )
    return DockerPlan(
        request=request,
        handover=handover,
        manifest=manifest,
        text=job.text,
        model_name=job.model_name,
        outputs_folder=job.outputs_folder,
        caller=caller,
        datasets=datasets,
        mountpoints=points,
        processes=processes_of(job),
        modules=job.search_path,
        packages=packages,
    )


def image_for(manifest: Manifest | None) -> str:
    """The image that the manifest names, or else the runtime's own for the hardware that it asks for."""
    if manifest is None:
        return CPU_IMAGE
    return manifest.compute.docker.image or (CPU_IMAGE if manifest.compute.gpus == "none" else GPU_IMAGE)


def container_name(run: str, attempt: int, pid: int) -> str:
    """A name that `docker ps` shows; the process's id keeps runs of one second in different folders apart."""
    name = re.sub(r"[^a-zA-Z0-9_.-]", "-", run)
    return f"{name}-{pid}-{attempt}".lstrip("_.-")  # the engine's names begin with a letter or a digit


def datasets_to_bring(job: Job) -> tuple[Dataset, ...]:
    """Those that the launcher brings: all of the job's, unless the class itself names a folder that is not on this
    machine. The image may have that one, so they are left to the running side.
    """
    found = datasets_of(job)
    own = found != job.manifest.datasets
    return () if own and any(one.local and not one.local.exists() for one in found) else found


def in_order(binds: Iterable[Bind]) -> tuple[Bind, ...]:
    """By the place in the container: an outer folder comes before one that is bound in it."""
    return tuple(sorted(set(binds), key=lambda bind: (str(bind.target or bind.source), bind.source)))


def _told(bind: Bind) -> str:
    place = f" at {bind.target}" if bind.target else ""
    return f"{bind.source}{place}{' (read-only)' if bind.read_only else ''}"


def _binds(
    job: Job, roots: list[Path], datasets: tuple[Dataset, ...], points: tuple[Path | None, ...]
) -> Iterator[Bind]:
    yield from {Bind(root) for root in (job.code_root, *roots)}
    manifest = job.manifest
    if manifest.path is not None and not manifest.path.is_relative_to(job.code_root):
        yield Bind(manifest.path)
    folders = {dataset.local for dataset in datasets if dataset.local is not None}
    named = {path for path in _bind_argument_paths(job) if not path.is_relative_to(job.code_root)}
    yield from (Bind(path) for path in folders | named)
    for dataset, point in zip(datasets, points, strict=False):
        if dataset.local is not None and point is not None:
            yield Bind(dataset.local, target=point)


def _bind_argument_paths(job: Job) -> Iterator[Path]:
    """The absolute paths among the arguments (a dataset, weights to start from) that are there on this machine."""
    for argument in job.arguments.values():
        values = argument.value if isinstance(argument.value, list | tuple) else [argument.value]
        for value in values:
            if isinstance(value, Path) and value.is_absolute() and value.exists():
                yield value


def _import_roots(job: Job) -> Iterator[Path]:
    """The folders that the classes are imported from, where that is neither the code root nor in the image."""
    yield from dict.fromkeys(root for location in job.locations for root in _import_root(job, location))


def _import_root(job: Job, location: Location) -> Iterator[Path]:
    if location.module.partition(".")[0] in {"innereye_runtime", *sys.stdlib_module_names}:
        return
    file = Path(location.file)
    depth = location.module.count(".") + (1 if file.name == "__init__.py" else 0)
    root = file.parents[depth]
    # What is installed beside torch can't be mounted without hiding the image's own packages.
    if not any(root == place for place in job.search_path) and root.name not in ("site-packages", "dist-packages"):
        yield root
