"""A local run folder made what the output has, for the next attempt of a run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.data.fingerprint.hashing import file_sha256
from innereye_runtime.errors import UsageError
from innereye_runtime.run.output_manifest import NAME as OUTPUTS_JSON
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.staged_store import Index, StagedFile, Store, StoreError

_ROUNDS = 5
"""How often what is written meanwhile is fetched again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restart begins with."""

    index: Index
    """The newest of the store, with those of its files that are here now."""
    missing: tuple[str, ...] = ()
    """The names of files of the newest index that are missing or damaged."""
    is_older: bool = False
    """What is here is what was there before them, as a whole."""

    @property
    def loss(self) -> str:
        return f"files in the output are missing or damaged: {', '.join(self.missing[:5])}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be had, a sentence each."""
        if not self.missing:
            return ()
        after = "continues from the files that were there before" if self.is_older else "continues without them"
        return (f"{self.loss}: this attempt {after}",)


def restore(root: Path, store: Store) -> Restored:
    """The local folder has the files of the output when this returns, and nothing else. An output that is empty leaves
    the folder as it is.

    Raises:
        OSError: the output can't be read, or changes faster than it can be fetched.
        UsageError: what is in the folder is not a run's, and would be lost.
    """
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()) and not RunPaths(root).run_json.exists():
        raise UsageError(
            f"{root} is not empty and not a run folder", hint="name a folder that --stage-to may fill from the output"
        )
    indexes = store.indexes()
    if not indexes:
        return Restored(index=_adopt(root, store))
    missing, rounds = _fill(root, store, indexes[0]), 0
    while missing:
        again = store.indexes()
        if not again or again[0].sequence == indexes[0].sequence:
            break
        if (rounds := rounds + 1) > _ROUNDS:
            raise StoreError("the run changes faster than it can be fetched; try again later")
        indexes = again  # another node wrote meanwhile
        missing = _fill(root, store, indexes[0])
    newest = indexes[0]
    if not missing:
        return Restored(index=newest)
    lost = tuple(sorted(missing))
    for older in indexes[1:]:
        if older.files and not _fill(root, store, older):  # the first one of all has none
            return Restored(index=Index(sequence=newest.sequence, files=older.files), missing=lost, is_older=True)
    missing = _fill(root, store, newest)
    kept = {name: each for name, each in newest.files.items() if name not in missing}
    return Restored(index=Index(sequence=newest.sequence, files=kept), missing=lost)


def _fill(root: Path, store: Store, index: Index) -> list[str]:
    """The names of the files that `index` lists and the folder, which has no others, has not."""
    _clear(root)
    return fetch_all(root, store, index.files)


def fetch_all(root: Path, store: Store, files: Mapping[str, StagedFile]) -> list[str]:
    """The names of those that could not be fetched."""
    missing = []
    for name, staged in files.items():
        if not store.fetch(name, staged, root / name):
            (root / name).unlink(missing_ok=True)
            missing.append(name)
    return missing


def _adopt(root: Path, store: Store) -> Index:
    """The files of an output that was not staged to: a run that another machine began, or uploaded."""
    names = [name for name in store.names() if not any(part[0] == "." for part in name.split("/"))]
    names = [name for name in names if name != OUTPUTS_JSON]
    if not names:
        return Index()
    _clear(root)
    files = {}
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        store.copy_out(name, root / name)
        size, digest = file_sha256(root / name)
        files[name] = StagedFile(size=size, sha256=digest)
    return Index(files=files)


def _clear(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
