"""From the datasets of a manifest to folders on this machine, each checked before anything is started."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.data.fingerprint import Fingerprint, Progress, fingerprint
from innereye_runtime.data.tree import show
from innereye_runtime.errors import DataError
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.manifest.words import near


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDataset:
    """A dataset that lies on this machine, whole and the one that was named."""

    id: str
    path: Path
    """Absolute."""
    source: str
    """Where its bytes come from: a folder, or a URL without credentials."""
    mode: str
    """What was done: `mount` (the files are read where they are) or `download` (they were copied to this machine)."""
    reason: str
    """Why that was done, in plain words."""
    fingerprint: Fingerprint
    seconds: float = 0.0
    """What a download took."""

    def describe(self) -> dict[str, Any]:
        """What run.json says of it."""
        rate = {"mb_per_s": round(self.fingerprint.bytes / self.seconds / 1e6, 1)} if self.seconds else {}
        return {
            "id": self.id,
            "path": str(self.path),
            "source": self.source,
            "mode": self.mode,
            "reason": self.reason,
            "sha256": self.fingerprint.sha256,
            "files": self.fingerprint.files,
            "bytes": self.fingerprint.bytes,
            "seconds": round(self.seconds, 3),
            **rate,
        }


def resolve(
    datasets: Sequence[Dataset], places: Sequence[Path] = (), *, progress: Progress | None = None
) -> tuple[ResolvedDataset, ...]:
    """The datasets of a manifest as folders of this machine. `places` say where the launcher put the first ones;
    there may be more of them than the manifest names.

    Raises:
        DataError: one is missing, can't be read, or is not the one whose sha256 the manifest has; it names the path
        and the key.
    """
    located = _locate(datasets, places)
    return tuple(_checked(*found, progress) for found in located)


def preflight(datasets: Sequence[Dataset]) -> tuple[Path, ...]:
    """The folder of each dataset, in order, each there and readable; their files are not looked at.

    Raises:
        DataError: one is missing or can't be read; it names the path and the key.
    """
    return tuple(path for _, _, path in _locate(datasets, ()))


def _locate(datasets: Sequence[Dataset], places: Sequence[Path]) -> list[tuple[Dataset, str, Path]]:
    """Each dataset with the key that names it and its folder.

    Raises:
        DataError: with one line for each that is not there.
    """
    found: list[tuple[Dataset, str, Path]] = []
    problems: list[DataError] = []
    for index in range(max(len(datasets), len(places))):
        dataset = datasets[index] if index < len(datasets) else Dataset()
        key = "dataset" if len(datasets) == 1 else f"datasets[{index}]"
        try:
            if index < len(places):
                found.append((dataset, key, _folder(places[index], "--dataset")))
            elif dataset.local is not None:
                found.append((dataset, key, _folder(dataset.local, f"{key}.local")))
            else:
                raise _no_copy(dataset, key)
        except DataError as error:
            problems.append(error)
    if len(problems) > 1:
        raise DataError(
            "\n".join(map(str, problems)), hint="\n".join(dict.fromkeys(error.hint for error in problems if error.hint))
        )
    if problems:
        raise problems[0]
    return found


def _folder(path: Path, key: str) -> Path:
    path = path.absolute()
    shown = show(path, "")
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise DataError(f"{key}: {shown} can't be reached: {error.strerror}") from error
    if is_folder:
        if os.access(path, os.R_OK | os.X_OK):
            return path
        raise DataError(
            f"{key}: the folder {shown} can't be read by this user", hint=f"chmod -R u+rX {shown}, or ask its owner"
        )
    if exists:
        raise DataError(
            f"{key}: {shown} is a file, and a dataset is a folder", hint=f"name its folder: {show(path.parent, '')}"
        )
    raise DataError(f"{key}: there is no folder {shown}", hint=_nearest(path))


def _nearest(path: Path) -> str:
    """A hint from the deepest folder on the way to `path` that is there."""
    there = next(parent for parent in path.parents if parent.is_dir())
    missing = path.relative_to(there).parts[0]
    try:
        folders = sorted(child.name for child in there.iterdir() if child.is_dir())
    except OSError:
        return f"{show(there, '')} is there, and can't be listed by this user"
    if (match := near(missing, folders)) is not None:
        return f"did you mean {show(there / match, '')}?"
    some = ", ".join(show(Path(name), "") for name in folders[:5]) + (", ..." if len(folders) > 5 else "")
    return f"{show(there, '')} holds {some}" if folders else f"{show(there, '')} holds no folder"


def _no_copy(dataset: Dataset, key: str) -> DataError:
    if not dataset.id:
        return DataError(f"{key} names neither a folder nor an id", hint=f"set {key}.local to a folder of this machine")
    return DataError(
        f"{key}.id: '{dataset.id}' is known by its id only, and there is no copy of it on this machine",
        hint=f"set {key}.local to the folder that holds it, or run where the id means something: --target azureml",
    )


def _checked(dataset: Dataset, key: str, path: Path, progress: Progress | None) -> ResolvedDataset:
    found = fingerprint(path, progress=progress)
    if dataset.sha256 and dataset.sha256.lower() != found.sha256:
        raise DataError(
            f"{key}.sha256: the dataset at {show(path, '')} is not the one that the manifest names:\n"
            f"  named {dataset.sha256.lower()}\n  found {found.sha256} ({found.files} files, {found.bytes:,} bytes)",
            hint=f"bring that dataset back, or, if this is the one that you mean, write {key}.sha256: {found.sha256}",
        )
    return ResolvedDataset(
        id=dataset.id,
        path=path,
        source=str(path),
        mode="mount",
        reason="the folder is on this machine, and is read where it is",
        fingerprint=found,
    )
