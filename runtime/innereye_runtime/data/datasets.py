"""From the manifest's datasets to folders on this machine, looked at before anything is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from innereye_runtime.data.fingerprint import Fingerprint, fingerprint
from innereye_runtime.errors import DataError
from innereye_runtime.manifest.model import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDataset:
    """A dataset where it lies on this machine."""

    id: str
    path: Path
    fingerprint: Fingerprint

    def describe(self) -> dict[str, Any]:
        """What run.json says about it."""
        found = self.fingerprint
        return {
            "id": self.id,
            "path": str(self.path),
            "sha256": found.sha256,
            "files": found.files,
            "bytes": found.bytes,
        }


def preflight(datasets: Sequence[Dataset]) -> tuple[Path, ...]:
    """The place of each dataset on this machine, in the manifest's order; nothing is read but the folders themselves.

    Raises:
        DataError: the first that has no place, isn't there or can't be read, with its key in the manifest.
    """
    return tuple(_place(dataset, _key(index, len(datasets))) for index, dataset in enumerate(datasets))


def resolve(datasets: Sequence[Dataset], places: Sequence[Path] = ()) -> tuple[ResolvedDataset, ...]:
    """Each dataset with its fingerprint: at `places`, where they are given, else where the manifest says.

    Raises:
        DataError: one isn't there, can't be read, or has another fingerprint than the manifest's `sha256`.
    """
    if places and datasets and len(places) != len(datasets):
        raise DataError(
            f"{len(places)} places are given for {len(datasets)} datasets",
            hint="give --dataset once for each, in order",
        )
    named = datasets or tuple(Dataset() for _ in places)
    found = []
    for index, dataset in enumerate(named):
        key = _key(index, len(named))
        path = _checked(places[index], "--dataset") if places else _place(dataset, key)
        try:
            mark = fingerprint(path)
        except OSError as error:
            raise DataError(
                f"{key}: {error.filename or path} can't be read: {error.strerror}", hint="check its permissions"
            ) from error
        if dataset.sha256 and dataset.sha256 != mark.sha256:
            raise DataError(
                f"{key}: the dataset at {path} is not the one that the manifest names: its sha256 is {mark.sha256}",
                hint=f"the manifest says {dataset.sha256}; name the right folder, or that sha256 where the change is meant",
            )
        found.append(ResolvedDataset(id=dataset.id, path=path, fingerprint=mark))
    return tuple(found)


def _key(index: int, count: int) -> str:
    return "dataset" if count == 1 else f"datasets[{index}]"


def _place(dataset: Dataset, key: str) -> Path:
    if dataset.local is None:
        raise DataError(
            f"{key}: the dataset '{dataset.id}' has no copy on this machine that the manifest knows of",
            hint=f"name its folder with {key}.local, or run where the id is known with --target azureml",
        )
    return _checked(dataset.local, f"{key}.local")


def _checked(path: Path, key: str) -> Path:
    if not path.exists():
        parent = path.parent
        names = sorted(entry.name for entry in parent.iterdir()) if parent.is_dir() else []
        near = get_close_matches(path.name, names, 1)
        hint = (
            f"did you mean {parent / near[0]}?"
            if near
            else f"{parent} is " + ("there" if names else "not there either")
        )
        raise DataError(f"{key}: {path} is not there", hint=hint)
    if not os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0)):
        raise DataError(f"{key}: {path} can't be read by this user", hint="check its permissions")
    return path
