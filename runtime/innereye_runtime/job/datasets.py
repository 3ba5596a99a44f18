"""Which datasets a job reads: those of its manifest, else those that the container names by its own parameters; and
what the command line puts in their place. Every target, check and command asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from innereye_runtime.introspection.arguments.checker import Argument
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.parameters.parameter import UNKNOWN

IDS: Final = ("azure_dataset_id", "extra_azure_dataset_ids")
_PATHS: Final = ("local_dataset", "extra_local_dataset_paths")
_MOUNTPOINTS: Final = ("dataset_mountpoint", "extra_dataset_mountpoints")


def datasets_of(job: Job, arguments: Mapping[str, Argument] | None = None) -> tuple[Dataset, ...]:
    """The datasets in the container's order. `arguments`: those of the imported container; default: those that its
    source tells.

    Lowest first: the container's own parameters, the manifest's datasets, the command line. A relative path of the
    container counts from where the run was started. Empty where only the imported class will tell.
    """
    arguments = job.arguments if arguments is None else arguments
    by_id = job.manifest.compute.target == "azureml"
    if job.manifest.datasets:
        ids, paths = _on_command_line(arguments, IDS), _on_command_line(arguments, _PATHS)
        return _replaced(job.manifest.datasets, ids, _anchored(paths, job.cwd), by_id=by_id)
    ids, paths = _listed(arguments, IDS), _listed(arguments, _PATHS)
    if by_id and UNKNOWN in paths:
        paths = []  # no path of this machine counts there
    if UNKNOWN in ids or UNKNOWN in paths:
        return ()
    pairs = zip_longest(ids, _anchored(paths, job.cwd))
    return tuple(Dataset(id=name or "", local=path) for name, path in pairs if name or path)


def unknown_ids(job: Job) -> tuple[str, ...]:
    """The parameters with ids of datasets whose values only the imported class tells, where the job needs them."""
    if job.manifest.datasets:
        return ()
    return tuple(name for name in IDS if name in job.arguments and job.arguments[name].value is UNKNOWN)


def mountpoints_of(job: Job, arguments: Mapping[str, Argument] | None = None) -> tuple[Path | None, ...]:
    """Where the container wants to find each dataset, besides the place that the target chooses; None: nowhere else,
    or only the imported class will tell.
    """
    listed = _listed(job.arguments if arguments is None else arguments, _MOUNTPOINTS)
    return tuple(Path(point) if point and point is not UNKNOWN else None for point in listed)


def _replaced(
    datasets: tuple[Dataset, ...], ids: list[Any], paths: list[Path | None], *, by_id: bool
) -> tuple[Dataset, ...]:
    """`datasets` with what the command line names instead, by position. A fingerprint is that of the data replaced."""
    found = []
    for base, name, path in zip_longest(datasets, ids, paths):
        before = base or Dataset()
        if path:
            kept = before.id if by_id else ""  # elsewhere the folder is what is read, whatever its id was
            found.append(replace(before, id=name or kept, local=path, sha256=""))
        elif name:
            found.append(replace(before, id=name, local=None, sha256=""))
        elif base is not None:
            found.append(base)
    return tuple(found)


def _on_command_line(arguments: Mapping[str, Argument], names: tuple[str, str]) -> list[Any]:
    """As `_listed`, with None for what does not stand on the command line."""
    given = {name: each for name, each in arguments.items() if each.origin == "command line"}
    return _listed(given, names)


def _listed(arguments: Mapping[str, Argument], names: tuple[str, str]) -> list[Any]:
    first, rest = (arguments[name].value if name in arguments else None for name in names)
    return [first, *(rest if isinstance(rest, list | tuple) else [rest] if rest is UNKNOWN else [])]


def _anchored(paths: list[Any], cwd: Path) -> list[Any]:
    return [cwd / path if path and path is not UNKNOWN else path for path in paths]
