"""The targets by name: those of this distribution, and those that others register by an entry point."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from innereye_runtime.errors import InnerEyeError, PreflightError, UsageError
from innereye_runtime.manifest.plugins import external_targets
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.base import RunHandle, Target
from innereye_runtime.targets.run_folder import FolderRun

_BUILT_IN = {
    "azureml": "innereye_runtime.targets.azureml.target",  # first: its references are URIs
    "docker": "innereye_runtime.targets.docker.target",
    "process": "innereye_runtime.targets.process",
    "slurm": "innereye_runtime.targets.slurm.target",
}
"""The modules that have a `TARGET`."""


def get_target(name: str) -> Target[Any]:
    """The target of that name; its module is imported here and not before.

    Raises:
        UsageError: no distribution here has one of that name.
    """
    if name in _BUILT_IN:
        target: Target[Any] = import_module(_BUILT_IN[name]).TARGET
        return target
    if entry := external_targets().get(name):
        external: Target[Any] = entry.load()
        return external
    raise UsageError(
        f"there is no target '{name}'", hint=f"install the distribution that has it, or use one of {_listed()}"
    )


def local_targets() -> dict[str, Target[Any]]:
    """The targets whose runs are on this machine, by name."""
    targets = {name: get_target(name) for name in ("docker", "process", *external_targets())}
    return {name: target for name, target in targets.items() if target.is_local}


def attach(reference: str) -> RunHandle:
    """The run that `reference` names, on whichever target it is.

    Raises:
        PreflightError: no target knows it, and one could not be asked.
        UsageError: no target knows it, or it is the name of several active runs.
    """
    folder = Path(reference)
    if (folder / "run.json").is_file():
        return _attach_folder(folder)
    if "://" not in reference:  # a URI is of one target, and the others need not be imported for it
        _ensure_one(reference)
    unasked: list[InnerEyeError] = []
    for name in _names():
        try:
            if handle := get_target(name).attach(reference):
                return handle
        except PreflightError as error:
            unasked.append(error)
    if unasked and not folder.is_dir():
        raise unasked[0]
    raise UsageError(f"'{reference}' is not a run", hint="innereye-run ps lists the runs on this machine")


def _names() -> Iterator[str]:
    """Those of all targets; other distributions are only looked for where it comes to that."""
    yield from _BUILT_IN
    yield from external_targets()


def _ensure_one(name: str) -> None:
    """Nothing for a name that at most one active run of this machine has. Runs of two folders that start in the same
    second have the same.
    """
    folders: set[str] = set()
    for target in local_targets().values():
        with suppress(PreflightError):
            folders |= {str(each.details.get("run_folder")) for each in target.list() if each.run == name}
    if len(folders) > 1:
        raise UsageError(
            f"'{name}' is the name of {len(folders)} active runs", hint=f"name one: {', '.join(sorted(folders))}"
        )


def _attach_folder(folder: Path) -> RunHandle:
    paths = RunPaths(folder.absolute())
    name = RunRecord.read(paths).target
    try:
        handle = get_target(name).attach(str(folder))
    except UsageError:  # its distribution is not installed here
        handle = None
    return handle or FolderRun(paths)


def _listed() -> str:
    return ", ".join(sorted({*_BUILT_IN, *external_targets()}))
