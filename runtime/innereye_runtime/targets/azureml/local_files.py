"""Files that arguments of the class name: they go to Azure with the code of the job, or the job is not submitted."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments.checker import Argument
from innereye_runtime.job.resolve import Job

_ELSEWHERE = ("local_dataset", "extra_local_dataset_paths", "output_to")
"""Datasets are inputs of the job, and the run folder is its output."""
_READ = "regression_test_folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file or folder of this machine."""

    argument: str
    local: Path
    place: str | None
    """Where the job looks for it, in its code; None: outside of that."""


def named_files(job: Job, manifest: str) -> tuple[NamedFile, ...]:
    """Those that the manifest's arguments and the command line name, and that are there. `manifest`: the text that the
    job gets. Other folders than that of the regression test may be for what the job writes.
    """
    given = {"manifest": manifest, "command line": "\n".join(job.overrides)}
    found = (_named(job, argument.name, path, given[argument.origin]) for argument, path in _paths(job))
    return tuple(one for one in found if one.local.is_file() or (one.argument == _READ and one.local.is_dir()))


def refuse_missing(named: Collection[NamedFile], code: Path, places: Collection[str]) -> None:
    """Returns where each file is at one of `places` in the job's code, as an attempt looks for it.

    Raises:
        UsageError: one is not.
    """
    for one in named:
        is_same = one.place is not None and (code / one.place).resolve() == one.local.resolve()
        if not is_same or not any(known == one.place or known.startswith(f"{one.place}/") for known in places):
            raise UsageError(
                f"{one.argument}: {one.local} is not part of the job's code, which is {code} without the outputs "
                "folder and what git ignores",
                hint="copy it into the project and name it relative to that folder, or register it in the workspace "
                "and name it in compute.azureml.inputs",
            )


def _named(job: Job, argument: str, path: Path, given: str) -> NamedFile:
    local = Path(os.path.normpath(job.cwd / path))
    is_absolute = str(local) in given
    return NamedFile(argument=argument, local=local, place=None if is_absolute else os.path.relpath(local, job.cwd))


def _paths(job: Job) -> Iterator[tuple[Argument, Path]]:
    for name, argument in job.arguments.items():
        if argument.origin not in ("manifest", "command line") or name in _ELSEWHERE:
            continue
        value = argument.value
        for each in value if isinstance(value, list | tuple) else [value]:
            if isinstance(each, Path):
                yield argument, each


def local_checkpoint(cwd: Path, source: str) -> Path:
    """The file of `src_checkpoint`, which may be RUN:FILE."""
    run, separator, name = source.partition(":")
    if separator and not (cwd / source).is_file() and (cwd / run).is_dir():
        return Path(run) / "checkpoints" / name
    return Path(source)
