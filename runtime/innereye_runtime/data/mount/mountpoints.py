"""A dataset at the path where its container wants to find it: a link to the folder where it lies."""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path

from innereye_runtime.errors import DataError

_HINT = "--target docker binds the dataset there; without the mount point it is read where it lies: {option}="
_OPTIONS = ("--dataset_mountpoint", "--extra_dataset_mountpoints")


def check_mountpoints(points: Sequence[Path | None], folders: Sequence[Path | None]) -> None:
    """Nothing, where each dataset can be linked at its mount point. `folders`: where they lie; None: not known yet.

    Raises:
        DataError: something else is there, or this user may not write there.
    """
    for index, (point, folder) in enumerate(zip_longest(points, folders)):
        if point is not None and (reason := _obstacle(point, folder)):
            raise _refusal(index, point, reason)


def link(points: Sequence[Path | None], folders: Sequence[Path]) -> list[Path]:
    """The path at which the container finds each dataset: its mount point, now a link, or else its folder. A link that
    was made here is gone when this process ends.

    Raises:
        DataError: as `check_mountpoints`.
    """
    found = []
    for index, folder in enumerate(folders):
        point = points[index] if index < len(points) else None
        if point is not None:
            _link(index, point, folder)
        found.append(point or folder)
    return found


def _link(index: int, point: Path, folder: Path) -> None:
    if reason := _obstacle(point, folder):
        raise _refusal(index, point, reason)
    try:
        point.parent.mkdir(parents=True, exist_ok=True)
        point.symlink_to(folder, target_is_directory=True)
    except FileExistsError:  # it is the dataset already: another rank of this machine made it, or the launcher
        return
    except OSError as error:
        raise _refusal(index, point, error.strerror or str(error)) from error
    atexit.register(_unlink, point, folder)


def _unlink(point: Path, folder: Path) -> None:
    with suppress(OSError):
        if point.readlink() == folder:
            point.unlink()


def _obstacle(point: Path, folder: Path | None) -> str:
    """Why there can't be a link at `point`; '' where there can, or where the dataset is there already."""
    if os.path.lexists(point):
        if folder is not None and point.exists() and point.samefile(folder):
            return ""
        return f"it is a link to {point.readlink()}" if point.is_symlink() else "something else is there"
    parent = next(folder for folder in point.parents if folder.exists())
    if not parent.is_dir():
        return f"{parent} is a file"
    return "" if os.access(parent, os.W_OK | os.X_OK) else f"this user may not write to {parent}"


def _refusal(index: int, point: Path, reason: str) -> DataError:
    option = _OPTIONS[min(index, 1)]
    return DataError(
        f"{option.removeprefix('--')}: the dataset can't be linked at {point}: {reason}",
        hint=_HINT.format(option=option),
    )
