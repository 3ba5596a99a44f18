"""Paths of an earlier job's node in the manifest of its run, which is resumed: what stood in the code there does so in
the next job, below another folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments.checker import Argument
from innereye_runtime.job.resolve import Job

_NODE = re.compile(
    r"/mnt/azureml/cr/j/[^/]+/(?:exe/wd/(?P<code>.+)|cap/data-capability/wd/INPUT_(?P<input>\w+)(?P<rest>/.*)?|.*)"
)


def with_own_paths(job: Job, place: str) -> Job:
    """The job, whose arguments name no path of an earlier node. `place`: of the manifest, in the job's code.

    Raises:
        UsageError: one names a path of an earlier node that the next one has no place for.
    """
    if job.run_folder is None:
        return job
    mapping = _Mapping(job, PurePosixPath(place).parent)
    container = job.manifest.container
    args = {name: mapping.in_manifest(name, value) for name, value in container.args.items()}
    arguments = {name: mapping.here(argument) for name, argument in job.arguments.items()}
    return replace(job, manifest=replace(job.manifest, container=replace(container, args=args)), arguments=arguments)


class _Mapping:
    def __init__(self, job: Job, folder: PurePosixPath) -> None:
        self._root = job.code_root
        self._folder = folder
        self._inputs: Collection[str] = job.manifest.compute.azureml.inputs

    def in_manifest(self, name: str, value: Any) -> Any:
        """The value as the manifest of the next job has it."""
        if isinstance(value, list | tuple):
            return [self.in_manifest(name, each) for each in value]
        if isinstance(value, Mapping):
            return {key: self.in_manifest(name, each) for key, each in value.items()}
        match = _NODE.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value
        if match["code"]:
            return os.path.relpath(match["code"], self._folder)
        if match["input"] in self._inputs:
            return f"$AZURE_ML_INPUT_{match['input']}{match['rest'] or ''}"
        raise UsageError(
            f"{name}: {value} is a path of an earlier job's node, and the next one has no such file",
            hint="name it in compute.azureml.inputs of the run's manifest.yaml, and write $AZURE_ML_INPUT_NAME there",
        )

    def here(self, argument: Argument) -> Argument:
        """The argument, with the paths that files of the code have on this machine."""
        value = argument.value
        if isinstance(value, Path):
            return replace(argument, value=self._path(value))
        if isinstance(value, list | tuple) and any(isinstance(each, Path) for each in value):
            return replace(argument, value=[self._path(each) for each in value])
        return argument

    def _path(self, value: Any) -> Any:
        match = _NODE.fullmatch(str(value))
        return self._root / match["code"] if match and match["code"] else value
