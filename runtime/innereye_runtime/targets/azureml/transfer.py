"""A run folder's way home: every file of it, checked against outputs.json."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path

from innereye_runtime.errors import OutputError, PreflightError, UsageError
from innereye_runtime.run.output_manifest import remove_links_above, restore_links, verify
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.staged_store import INDEXES, Index, newest_first, places_of
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.exclusive_folder import exclusive
from innereye_runtime.targets.azureml.session import Session

PARALLEL = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Blob:
    name: str
    size: int
    target: Path


def is_empty(session: Session, place: BlobPrefix) -> bool:
    prefix = f"{place.path}/"
    found = session.request(
        "looking for the run folder", lambda: next(session.blobs(place.datastore).list(prefix, most=1), None)
    )
    return found is None


def reserve_run_folder(session: Session, place: BlobPrefix) -> bool:
    """True for the first who asks for a place: a run that another machine started in the same second does not go there
    too. Who may only read the datastore gets any place.

    Raises:
        PreflightError: the datastore can't be reached.
    """
    container = session.container(place.datastore)
    folder, _, name = place.path.rpartition("/")
    try:
        session.request(
            f"naming run {name}",
            lambda: container.upload_blob(f"{folder}/.names/{name}", b"", overwrite=False),
        )
    except PreflightError as error:
        if getattr(error.__cause__, "error_code", None) == "BlobAlreadyExists":
            return False
        if getattr(error.__cause__, "status_code", None) != HTTPStatus.FORBIDDEN:
            raise
    return True


def download_run(session: Session, place: BlobPrefix, folder: Path) -> int:
    """The number of files that are now in `folder` as they are at `place`; those that were there already are not
    fetched.

    outputs.json comes last, so that a folder that has it is whole. Who brings the same folder at the same time waits.

    Raises:
        OutputError: a file can't be brought, or is not what outputs.json says.
        PreflightError: the datastore can't be reached, or the disk is full here.
        UsageError: something of this machine is in the way of a file.
    """
    try:
        with exclusive(folder):
            return _bring_home(session, place, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PreflightError(
                f"disk full: the run folder {folder} cannot be downloaded",
                hint="free some space and download again: files that are complete are kept",
            ) from error
        if error.filename is None:
            raise
        raise UsageError(
            f"the run folder {folder} cannot be downloaded: {error.filename2 or error.filename}: {error.strerror}",
            hint="move away what is there, or name another folder with innereye-run download --to",
        ) from error


def fetch_named(session: Session, place: BlobPrefix, names: Iterable[str], folder: Path) -> None:
    """Those files of `place` that are there, in `folder`.

    Raises:
        PreflightError: the datastore can't be reached.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staged = next(iter(read_indexes(session, place, INDEXES)), Index()).files
    for name in names:
        at = staged[name].place(name) if name in staged else name
        with _if_there():
            _fetch(session, place.datastore, _Blob(name=f"{place.path}/{at}", size=0, target=folder / name))
        if (folder / name).is_file() and not (folder / name).stat().st_size:
            (folder / name).unlink()  # an empty outputs.json is of a run that was resumed


def _bring_home(session: Session, place: BlobPrefix, folder: Path) -> int:
    listed = RunPaths(folder).outputs_json
    found = _list(session, place, folder)
    last = [blob for blob in found if blob.target == listed and blob.size]  # an empty one is of a run that was resumed
    expected = _expected(session, place.datastore, last)
    blobs = _of_run(session, place, folder, found, {*expected})
    listed.unlink(missing_ok=True)
    remove_links_above(folder, [blob.target for blob in blobs])
    wanted = [blob for blob in blobs if blob.target != listed and not _is_up_to_date(blob, folder, expected)]
    with ThreadPoolExecutor(PARALLEL) as pool:
        for _ in pool.map(lambda blob: _fetch(session, place.datastore, blob), wanted):
            pass
    if last:
        _remove_stale_files(folder, {blob.target for blob in blobs})
    for blob in last:
        _fetch(session, place.datastore, blob)
        restore_links(folder)
        problems = verify(folder)
        if problems:
            listed.unlink()
            reasons = "; ".join(problems[:5])
            raise OutputError(f"the downloaded run folder failed verification: {reasons}", hint="download it again")
    return len(blobs)


def _of_run(session: Session, place: BlobPrefix, folder: Path, found: list[_Blob], complete: set[str]) -> list[_Blob]:
    """The run's among those in its place, which may have more: what the run deleted, and what its stager writes there.
    `complete`: what outputs.json lists.
    """
    there = {blob.target.relative_to(folder).as_posix(): blob for blob in found}
    listed = there.pop(RunPaths(folder).outputs_json.name, None)
    if complete:
        return [*(blob for name, blob in there.items() if name in complete), *([listed] if listed else [])]
    places = places_of(there.keys(), read_indexes(session, place, [name for name in INDEXES if name in there]))
    return [replace(there[at], target=folder / name) for name, at in places.items()]


def read_indexes(session: Session, place: BlobPrefix, names: Iterable[str]) -> list[Index]:
    """Those among `names` that a stager wrote there, the newest first.

    Raises:
        PreflightError: the datastore can't be reached.
    """
    texts = []
    for name in names:
        with _if_there():
            texts.append(_read(session, place.datastore, f"{place.path}/{name}"))
    return newest_first(texts)


@contextlib.contextmanager
def _if_there() -> Iterator[None]:
    try:
        yield
    except PreflightError as error:
        if not is_not_found(error):
            raise


def _remove_stale_files(folder: Path, known: set[Path]) -> None:
    """Removes what came home from the middle of a write, of an earlier attempt, and is not there any more.

    Such files have names that begin with a dot, or are the checkpoint of an epoch that was complete later. Any other
    that is not listed is the user's: `verify` reports it.
    """
    for file in (*folder.rglob(".*"), RunPaths(folder).partial_checkpoint):
        if file.is_file() and file not in known:
            file.unlink()


def upload_text(session: Session, place: BlobPrefix, name: str, text: str) -> None:
    """Puts a file of that name and text into a place.

    Raises:
        PreflightError: the datastore can't be reached.
    """
    container = session.container(place.datastore)
    session.request(
        f"uploading {name}",
        lambda: container.upload_blob(f"{place.path}/{name}", text.encode(), overwrite=True),
    )


def upload_run(session: Session, folder: Path, place: BlobPrefix) -> None:
    """Puts the files of a run folder where a job will go on with it. The store checks what it got against its MD5.

    Results are uploaded by the platform, and checked on their way back (`download_run`).

    Raises:
        PreflightError: the datastore can't be reached.
    """
    container = session.container(place.datastore)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            name = f"{place.path}/{file.relative_to(folder).as_posix()}"

            def upload(name: str = name, file: Path = file) -> None:
                with file.open("rb") as data:
                    container.upload_blob(name, data, overwrite=True, validate_content=True)

            session.request(f"uploading {file.name}", upload)


def _list(session: Session, place: BlobPrefix, folder: Path) -> list[_Blob]:
    prefix = f"{place.path}/"
    found = session.request("looking for the run folder", lambda: list(session.blobs(place.datastore).list(prefix)))
    blobs = []
    for blob in found:
        name = blob.name[len(prefix) :]
        parts = name.split("/")
        if blob.is_folder or name.endswith("/"):
            continue  # how a mount marks a folder
        if not name or any(part in ("", ".", "..") for part in parts):
            raise OutputError(
                f"the run folder holds '{blob.name}', which cannot be a file on this machine",
                hint="rename or delete it in the datastore, then download again",
            )
        blobs.append(_Blob(name=blob.name, size=blob.size, target=folder / name))
    return blobs


def _expected(session: Session, datastore: str, listed: list[_Blob]) -> dict[str, str]:
    """The sha256 of each file, by its path; nothing where the run is not complete."""
    for blob in listed:
        content = _read(session, datastore, blob.name)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return {entry["path"]: entry["sha256"] for entry in json.loads(content)["files"] if "sha256" in entry}
    return {}


def _is_up_to_date(blob: _Blob, folder: Path, expected: dict[str, str]) -> bool:
    known = expected.get(blob.target.relative_to(folder).as_posix())
    if known is None or not blob.target.is_file() or blob.target.stat().st_size != blob.size:
        return False
    with blob.target.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == known


def _fetch(session: Session, datastore: str, blob: _Blob) -> None:
    blob.target.parent.mkdir(parents=True, exist_ok=True)
    part = blob.target.with_name(f".{blob.target.name}.part")

    def fetch() -> None:
        with part.open("wb") as file:
            session.blobs(datastore).fetch(blob.name, file)

    try:
        session.request(f"downloading {blob.target.name}", fetch)
        part.replace(blob.target)
    finally:
        part.unlink(missing_ok=True)


def _read(session: Session, datastore: str, name: str) -> bytes:
    return session.request(f"downloading {name.rpartition('/')[2]}", lambda: session.blobs(datastore).read(name))
