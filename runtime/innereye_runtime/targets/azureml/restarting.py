"""A run whose output has checkpoints, made to train from the start: `resume --restart` in a datastore."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from innereye_runtime.errors import PreflightError
from innereye_runtime.run.staged_store import INDEXES, Index
from innereye_runtime.run.stager import CHECKPOINTS
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.transfer import read_indexes

_POLL_SECONDS, _LONGEST_COPY_SECONDS = 0.5, 600.0


def set_checkpoints_aside(session: Session, place: BlobPrefix, folder: Path) -> None:
    """No attempt of the run at `place` finds a checkpoint after this: they are below checkpoints/aside there, under the
    name that they have in the local run folder `folder`, where they were set aside before.

    Raises:
        PreflightError: the datastore can't be reached or written to; the checkpoints count as before.
    """
    container, prefix = session.container(place.datastore), f"{place.path}/"
    there = session.request(
        "looking for checkpoints",
        lambda: [name.removeprefix(prefix) for name in container.list_blob_names(name_starts_with=prefix)],
    )
    indexes = read_indexes(session, place, [name for name in INDEXES if name in there])
    names = [name for name in (indexes[0].files if indexes else there) if _is_checkpoint(name)]
    aside = _free_name(there, folder)
    moved = {name: f"{aside}{name.removeprefix(CHECKPOINTS).lstrip('.')}" for name in names}
    if not indexes:
        for name, new in moved.items():
            _copy(session, place, name, new)
        for name in moved:
            session.request("setting checkpoints aside", lambda name=name: container.delete_blob(prefix + name))  # type: ignore[misc]
        return
    files = dict(indexes[0].files)
    for name, new in moved.items():
        _copy(session, place, files[name].place(name), new)
        files[new] = replace(files.pop(name), slot=0)
    for sequence in (indexes[0].sequence + 1, indexes[0].sequence + 2):  # of both, neither lists a checkpoint
        index = Index(sequence=sequence, files=files)
        session.request(
            "setting checkpoints aside",
            lambda index=index: container.upload_blob(prefix + index.place, index.to_bytes(), overwrite=True),  # type: ignore[misc]
        )


def _is_checkpoint(name: str) -> bool:
    """Whether it is a file that an attempt looks at: those in folders below are not."""
    return name.startswith(CHECKPOINTS) and "/" not in name.removeprefix(CHECKPOINTS)


def _free_name(there: Collection[str], folder: Path) -> str:
    """The folder that the checkpoints go to, with a slash; it has nothing yet."""
    local = [path.name for path in (folder / CHECKPOINTS).glob("aside*") if path.is_dir()]
    number = max((int(name.partition("-")[2] or 1) for name in local), default=1)
    while True:
        name = f"{CHECKPOINTS}aside{f'-{number}' if number > 1 else ''}/"
        if not any(one.startswith(name) for one in there):
            return name
        number += 1


def _copy(session: Session, place: BlobPrefix, source: str, target: str) -> None:
    """Copies a blob inside the datastore; none of its bytes comes here."""
    container = session.container(place.datastore)
    url = container.get_blob_client(f"{place.path}/{source}").url
    blob = container.get_blob_client(f"{place.path}/{target}")
    doing = f"copying {source}"
    session.request(doing, lambda: blob.start_copy_from_url(url))
    deadline = time.monotonic() + _LONGEST_COPY_SECONDS
    while (copy := _state(session, doing, blob)) == "pending" and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    if copy != "success":
        raise PreflightError(f"{doing}: the copy in the datastore is {copy}", hint="try again")


def _state(session: Session, doing: str, blob: Any) -> str:
    return session.request(doing, lambda: str(blob.get_blob_properties().copy.status))
