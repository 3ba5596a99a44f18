"""One dataset brought to this machine: read in place, mounted or fetched into the cache, with the reason.

What is mounted, and what is used of the cache, is held until its holder closes: by default when this process ends.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from innereye_runtime.data.access_mode import ModeDecision, network_file_system, select_mode
from innereye_runtime.data.cache.cache import Cache
from innereye_runtime.data.cache_dirs import cache_home
from innereye_runtime.data.fingerprint.fingerprint import Fingerprint, fingerprint
from innereye_runtime.data.fingerprint.stat_cache import get, stat_key
from innereye_runtime.data.fingerprint.tree import walk
from innereye_runtime.data.mount.mounting import mount, mount_unavailable_reason
from innereye_runtime.data.progress import Progress
from innereye_runtime.data.sources.blobs import BlobSource, BlobUrl
from innereye_runtime.data.sources.source import FileEntry, FolderSource, Source, SourceChangedError, snapshot_id
from innereye_runtime.errors import DataError, UsageError
from innereye_runtime.manifest.dataset_ids import canonical, problem_of

log = logging.getLogger("innereye_runtime")

_ROUNDS = 3
"""How often a source is listed that changes while it is fetched."""
_held = ExitStack()
atexit.register(_held.close)


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedDataset:
    """A dataset that lies on this machine. See `datasets.ResolvedDataset` for the fields."""

    path: Path
    source: str
    mode: str
    reason: str
    fingerprint: Fingerprint
    seconds: float = 0.0
    stamp: str = ""
    """Of the files' stats, from when they were what the fingerprint says; "" where it can't stand for that."""

    def to_data(self) -> dict[str, Any]:
        """Plain data, for another process."""
        return {**asdict(self), "path": os.fspath(self.path)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "path": Path(data["path"]), "fingerprint": Fingerprint(**data["fingerprint"])})


def source_of(text: str) -> BlobSource | None:
    """The folder of blobs that a dataset's id names: itself a URL, or a name below `INNEREYE_DATASTORE`; else None.

    Raises:
        DataError: the URL is none.
    """
    text = canonical(text)
    if text.startswith("azure://"):
        return BlobSource(BlobUrl.parse(text))
    if problem := problem_of(text):
        raise DataError(problem[0], hint=problem[1])
    if text.startswith("azureml://"):
        return None
    place = os.environ.get("INNEREYE_DATASTORE", "")
    return BlobSource(BlobUrl.parse(f"{place.rstrip('/')}/{text}")) if place and text else None


def datastore() -> BlobSource:
    """The datastore that `INNEREYE_DATASTORE` names.

    Raises:
        UsageError: the variable is not set.
        DataError: it is no URL.
    """
    place = os.environ.get("INNEREYE_DATASTORE", "")
    if not place:
        raise UsageError("no datastore is named", hint="set INNEREYE_DATASTORE to azure://ACCOUNT/CONTAINER/PATH")
    return BlobSource(BlobUrl.parse(place))


def stage(
    where: Path | BlobSource,
    mode: str,
    *,
    strict: bool,
    progress: Progress,
    held: ExitStack = _held,
    for_others: bool = False,
) -> StagedDataset:
    """The dataset at `where`, as `mode` (mount, download, auto) says, until `held` closes. `for_others`: processes of
    other users read it too.

    Raises:
        DataError: it can't be read, or not mounted where that is asked for and `strict`.
        PreflightError: there is no room for it, or nothing that opens its store.
    """
    if isinstance(where, BlobSource):
        return _bring_blobs(where, mode, strict, progress, held, mount_unavailable_reason(for_others=for_others))
    shared = network_file_system(where) if mode == "download" else ""
    if shared:
        reason = f"requested by the manifest, and the folder is on a shared file system ({shared})"
        folder = FolderSource(where)
        return _await_stable(folder, lambda items: _fetch(folder, items, reason, progress, held))
    found = fingerprint(where, progress=progress)
    return StagedDataset(
        path=where,
        source=os.fspath(where),
        mode="mount",
        reason="the folder is on this machine, and is read where it is",
        fingerprint=found,
        stamp=_cache_key(where, found),
    )


def revalidate(staged: StagedDataset, progress: Progress) -> StagedDataset:
    """What another process brought, as this one finds it: its files are read where their stats differ.

    Raises:
        DataError: it is something else here.
    """
    if staged.stamp and staged.stamp == stat_key(walk(staged.path)):
        return staged
    found = fingerprint(staged.path, progress=progress)
    if found != staged.fingerprint:
        raise DataError(
            f"{staged.path} has different files here ({found.files}, {found.bytes:,} bytes) than for the launcher "
            f"({staged.fingerprint.files}, {staged.fingerprint.bytes:,} bytes)",
            hint="let nothing write to a dataset that a run reads; where the engine runs on another machine, "
            "the dataset has to be there",
        )
    return staged


def check_room(source: BlobSource, mode: str, *, strict: bool) -> None:
    """Makes sure that the blobs can be listed, and mounted or fetched; does neither.

    Raises:
        DataError, PreflightError: as `stage`.
    """
    items, cache = source.list(), Cache()
    if _choose(
        source, items, mode, strict, cache, mount_unavailable_reason()
    ).mode == "download" and not cache.contains(source, items):
        cache.check_room(source, items)


def release() -> None:
    """Unmounts everything, and lets go of what was used of the cache: now, and not at the end of the process."""
    _held.close()


def _bring_blobs(
    source: BlobSource, mode: str, strict: bool, progress: Progress, held: ExitStack, no_mount: str
) -> StagedDataset:
    def once(items: Sequence[FileEntry]) -> StagedDataset:
        choice = _choose(source, items, mode, strict, Cache(), no_mount)
        if choice.mode == "download":
            return _fetch(source, items, choice.reason, progress, held)
        try:
            return _mount(source, items, choice.reason, progress, held)
        except DataError as error:
            if strict:
                raise
            log.warning("%s; it is downloaded", error)
            return _fetch(source, items, f"mounting failed: {error}", progress, held)

    return _await_stable(source, once)


def _await_stable(source: Source, once: Callable[[Sequence[FileEntry]], StagedDataset]) -> StagedDataset:
    """What `once` makes of the source's items, listed again where they change under its hands."""
    for _ in range(_ROUNDS):
        try:
            return once(source.list())
        except SourceChangedError as error:
            log.info("%s changed while it was fetched: it is listed again", error)
    raise DataError(
        f"{source.url} changed {_ROUNDS} times while it was fetched",
        hint="let nothing write to a dataset that a run reads",
    )


def _choose(
    source: Source, items: Sequence[FileEntry], mode: str, strict: bool, cache: Cache, no_mount: str
) -> ModeDecision:
    choice = select_mode(
        mode, items, free_space=cache.free_space(), cached=cache.contains(source, items), no_mount=no_mount
    )
    if choice is not None:
        return choice
    if strict:
        raise DataError(
            f"{source.url} can't be mounted: {no_mount}", hint="use mode: download, or leave out strict: true"
        )
    log.warning("%s can't be mounted: %s; it is downloaded", source.url, no_mount)
    return ModeDecision("download", f"the manifest requests a mount, which is not available: {no_mount}")


def _fetch(
    source: Source, items: Sequence[FileEntry], reason: str, progress: Progress, held: ExitStack
) -> StagedDataset:
    copy = Cache().get_or_fetch(source, items, progress)
    held.callback(copy.lock.release)
    return StagedDataset(
        path=copy.path,
        source=source.url,
        mode="download",
        reason=reason,
        fingerprint=copy.fingerprint,
        seconds=copy.seconds,
        stamp=_cache_key(copy.path, copy.fingerprint),
    )


def _mount(
    source: BlobSource, items: Sequence[FileEntry], reason: str, progress: Progress, held: ExitStack
) -> StagedDataset:
    mounted = mount(source)
    try:
        files = walk(mounted.path)
        there = {(file.name, file.size) for file in files}
        if there != {(item.name, item.size) for item in items}:
            raise SourceChangedError(source.url)
        found = _known(source, items) or fingerprint(mounted.path, progress=progress)
        _update_stat_cache(source, items, found)
    except BaseException:
        mounted.unmount()
        raise
    held.callback(mounted.unmount)
    stamp = stat_key(files)
    return StagedDataset(
        path=mounted.path, source=source.url, mode="mount", reason=reason, fingerprint=found, stamp=stamp
    )


def _cache_key(path: Path, found: Fingerprint) -> str:
    """Of the stats of a folder that was read just now; "" where they are not kept, or a change may hide behind them."""
    known = get(path.resolve())
    return known.stamp if known is not None and known.result == asdict(found) else ""


def _known(source: Source, items: Sequence[FileEntry]) -> Fingerprint | None:
    """The fingerprint of a source in this state, where it was mounted before: the store's versions stand for its
    contents.
    """
    try:
        text = (cache_home() / "fingerprints" / f"{snapshot_id(source, items)}.json").read_text(encoding="ascii")
        return Fingerprint(**json.loads(text))
    except (OSError, ValueError, TypeError):
        return None


def _update_stat_cache(source: Source, items: Sequence[FileEntry], found: Fingerprint) -> None:
    path = cache_home() / "fingerprints" / f"{snapshot_id(source, items)}.json"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(OSError):  # where the cache can't be written, the files are read again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"sha256": found.sha256, "files": found.files, "bytes": found.bytes}))
        temporary.replace(path)
