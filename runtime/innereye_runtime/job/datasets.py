"""Which datasets a job reads: those of its manifest, else those that the container names by its own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from innereye_runtime.manifest.model import Dataset, Manifest
from innereye_runtime.parameters.parameter import UNKNOWN

_IDS, _PATHS = ("azure_dataset_id", "extra_azure_dataset_ids"), ("local_dataset", "extra_local_dataset_paths")


def datasets_of(manifest: Manifest, values: Mapping[str, Any], *, overridden: bool, cwd: Path) -> tuple[Dataset, ...]:
    """The datasets in the container's order. `values`: of the container's parameters. `overridden`: the command line
    names a folder instead of the manifest's. A relative path of the container counts from `cwd`, where the run was
    started. Empty where only the imported class will tell.
    """
    if manifest.datasets and not overridden:
        return manifest.datasets
    ids, paths = _listed(values, _IDS), _listed(values, _PATHS)
    if UNKNOWN in ids or UNKNOWN in paths:
        return ()
    pairs = zip_longest(ids, paths)
    return tuple(Dataset(id=name or "", local=cwd / path if path else None) for name, path in pairs if name or path)


def _listed(values: Mapping[str, Any], names: tuple[str, str]) -> list[Any]:
    first, rest = (values.get(name) for name in names)
    return [first, *(rest if isinstance(rest, list | tuple) else [rest] if rest is UNKNOWN else [])]
