"""From the datasets of a manifest to folders of this machine, each checked before anything is started.

A dataset is, in this order: the folder where the launcher put it, `local`, a folder of blobs (`id: azure://...`, or a
plain id below the datastore that `INNEREYE_DATASTORE` names). A folder on a disk of this machine is read where it is,
whatever the mode; one on a file system that machines share is copied where the mode is `download`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.data.fingerprint.fingerprint import Fingerprint
from innereye_runtime.data.paths import require_readable_dir
from innereye_runtime.data.progress import LogProgress, Progress
from innereye_runtime.data.sources.blobs import BlobSource
from innereye_runtime.data.staging import StagedDataset, check_room, revalidate, source_of, stage
from innereye_runtime.errors import DataError, InnerEyeError

if TYPE_CHECKING:
    from innereye_runtime.manifest.model import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDataset:
    """A dataset that lies on this machine, whole and the one that was named. It stays there until this process ends."""

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
    """What a download took; 0 where nothing was fetched."""

    def describe(self) -> dict[str, Any]:
        """What run.json says of it."""
        rate = {"mb_per_s": round(self.fingerprint.bytes / self.seconds / 1e6, 3)} if self.seconds else {}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRequest:
    """A dataset of the manifest, and where it was found to be."""

    key: str
    id: str = ""
    mode: str = "mount"
    strict: bool = False
    sha256: str = ""
    where: Path | BlobSource
    placed: bool = False
    """Whether the launcher put it where it is."""
    staged: StagedDataset | None = None
    """What the launcher says of that, if anything."""


def resolve(
    datasets: Sequence[Dataset],
    places: Sequence[Path] = (),
    *,
    staged: Sequence[StagedDataset] = (),
    progress: Progress | None = None,
) -> tuple[ResolvedDataset, ...]:
    """The datasets of a manifest as folders of this machine. `places` say where the launcher put the first ones, and
    `staged` what it did to bring them; there may be more of them than the manifest names. What was mounted is
    unmounted when this process ends.

    Raises:
        DataError: one is missing, can't be read, or is not the one whose sha256 the manifest has; it names the key.
        PreflightError: there is no room for one, or nothing that opens its store.
    """
    told = {one.path: one for one in staged}
    wanted = [
        replace(one, staged=told.get(one.where)) if one.placed and isinstance(one.where, Path) else one
        for one in _locate(datasets, places)
    ]
    return tuple(_resolve(one, progress or LogProgress()) for one in wanted)


def preflight(datasets: Sequence[Dataset]) -> tuple[Path | None, ...]:
    """The folder of each dataset that is on this machine, None for one that has to be fetched or mounted: each is
    there, can be read, and has room. Their contents are not looked at.

    Raises:
        DataError: one is missing or can't be read; it names the key. Where several are, all are named.
        PreflightError: there is no room for one, or nothing that opens its store.
    """
    wanted = _locate(datasets, ())
    for one in wanted:
        if isinstance(one.where, BlobSource):
            with _named(one.key):
                check_room(one.where, one.mode, strict=one.strict)
    return tuple(one.where if isinstance(one.where, Path) else None for one in wanted)


@contextmanager
def stage_datasets(
    datasets: Sequence[Dataset], *, progress: Progress | None = None
) -> Iterator[tuple[StagedDataset, ...]]:
    """Inside, each dataset is a folder that a container on this machine can have: blobs are mounted or fetched, and let
    go at the end. A launcher does that for a container that may do neither.

    Raises:
        DataError, PreflightError: as `resolve`, but for the sha256, which the running side compares.
    """
    with ExitStack() as held:
        staged = []
        for one in _locate(datasets, ()):
            with _named(one.key):
                staged.append(
                    stage(
                        one.where,
                        one.mode,
                        strict=one.strict,
                        progress=progress or LogProgress(),
                        held=held,
                        for_others=True,
                    )
                )
        yield tuple(staged)


def check_unchanged(found: Sequence[ResolvedDataset], before: Sequence[Mapping[str, Any]]) -> None:
    """Makes sure that a run goes on with the datasets of its earlier attempt. `before` is what run.json said of them
    (`describe`), in the same order.

    Raises:
        DataError: one has another fingerprint than it had.
    """
    for index, (now, then) in enumerate(zip(found, before, strict=False)):
        if now.fingerprint.sha256 != then["sha256"]:
            key = "dataset" if len(found) == 1 else f"datasets[{index}]"
            raise DataError(
                f"{key}: {now.source} changed since the last attempt of this run:\n"
                f"  was {then['sha256']} ({_size(then['files'], then['bytes'])})\n"
                f"  is  {now.fingerprint.sha256} ({_size(now.fingerprint.files, now.fingerprint.bytes)})",
                hint="start a new run: resuming with different data would mix two experiments",
            )


def _size(files: int, total: int) -> str:
    return f"{files:,} file{'s' if files != 1 else ''}, {total:,} bytes"


def _locate(datasets: Sequence[Dataset], places: Sequence[Path]) -> list[DatasetRequest]:
    """Where each dataset is.

    Raises:
        DataError: with one line for each that is nowhere.
    """
    found: list[DatasetRequest] = []
    problems: list[InnerEyeError] = []
    for index in range(max(len(datasets), len(places))):
        key = "dataset" if len(datasets) == 1 else f"datasets[{index}]"
        try:
            place = require_readable_dir(places[index], "--dataset") if index < len(places) else None
            if index >= len(datasets):
                assert place is not None
                found.append(DatasetRequest(key=key, where=place, placed=True))
                continue
            dataset = datasets[index]
            found.append(
                DatasetRequest(
                    key=key,
                    id=dataset.id,
                    mode=dataset.mode,
                    strict=dataset.strict,
                    sha256=dataset.sha256.lower(),
                    where=place or _where(dataset, key),
                    placed=place is not None,
                )
            )
        except InnerEyeError as error:
            problems.append(error)
    if len(problems) > 1:
        hints = dict.fromkeys(error.hint for error in problems if error.hint)
        raise DataError("\n".join(map(str, problems)), hint="\n".join(hints))
    if problems:
        raise problems[0]
    return found


def _where(dataset: Dataset, key: str) -> Path | BlobSource:
    if dataset.local is not None:
        return require_readable_dir(dataset.local, f"{key}.local")
    try:
        source = source_of(dataset.id)
    except DataError as error:
        raise DataError(f"{key}.id: {error}", hint=error.hint) from None
    if source is not None:
        return source
    if not dataset.id:
        raise DataError(f"{key} has neither a folder nor an id", hint=f"set {key}.local to a folder of this machine")
    raise DataError(
        f"{key}.id: '{dataset.id}' has an id but no local copy on this machine",
        hint=f"set {key}.local (--local_dataset on the command line) to the folder that holds it, "
        "write the id as azure://ACCOUNT/CONTAINER/PATH, "
        "set INNEREYE_DATASTORE to the datastore that has it, or run where the id means something: --target azureml",
    )


def resolve_source(id: str, where: Path | BlobSource, mode: str, *, progress: Progress) -> ResolvedDataset:
    """The dataset at `where` as a folder of this machine, without a manifest.

    Raises:
        DataError, PreflightError: as `resolve`.
    """
    return _resolve(DatasetRequest(key="", id=id, mode=mode, where=where), progress)


def _resolve(wanted: DatasetRequest, progress: Progress) -> ResolvedDataset:
    with _named(wanted.key):
        if wanted.staged is not None:
            staged = revalidate(wanted.staged, progress)
        else:
            mode = "mount" if wanted.placed else wanted.mode
            staged = stage(wanted.where, mode, strict=wanted.strict, progress=progress)
    mark = staged.fingerprint
    if wanted.sha256 and wanted.sha256 != mark.sha256:
        raise DataError(
            f"{wanted.key}.sha256: the dataset at {staged.source} is not the one that the manifest names:\n"
            f"  named {wanted.sha256}\n  found {mark.sha256} ({_size(mark.files, mark.bytes)})",
            hint=f"restore that dataset or, if this one is meant, write {wanted.key}.sha256: {mark.sha256}",
        )
    return ResolvedDataset(
        id=wanted.id,
        path=staged.path,
        source=staged.source,
        mode=staged.mode,
        reason="it is where the launcher put it" if wanted.placed and not wanted.staged else staged.reason,
        fingerprint=mark,
        seconds=staged.seconds,
    )


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Puts the key of the manifest, where there is one, before the message of an error."""
    try:
        yield
    except InnerEyeError as error:
        if not key:
            raise
        raise type(error)(f"{key}: {error}", hint=error.hint) from error
