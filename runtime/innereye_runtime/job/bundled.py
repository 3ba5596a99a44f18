"""What is different in the image: the manifests and data that it brings along, for a working directory that has none of
that name, and folders that end with the container."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "INNEREYE_RUNTIME_SHARE"
"""Set in the image: the folder that has `manifests` and `data`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundledManifest:
    path: Path
    """Absolute. It need not be there: who reads it tells that best."""
    shipped: bool
    """True for one of the image, beside which nothing can be written: its runs go to the working directory."""


def find_manifest(named: Path, *, cwd: Path, environment: Mapping[str, str]) -> BundledManifest:
    """The manifest `named`, in the working directory or else among those of the image."""
    here = cwd / named
    share = environment.get(VARIABLE)
    if share and not named.is_absolute() and not here.exists() and (there := Path(share) / named).is_file():
        return BundledManifest(path=there, shipped=True)
    return BundledManifest(path=here, shipped=False)


def ends_with_container(
    folder: Path, environment: Mapping[str, str], *, is_mount: Callable[[Path], bool] = os.path.ismount
) -> bool:
    """Whether `folder` is lost when the container is removed: it is one of the image, and nothing is mounted there."""
    places = [place for place in (folder, *folder.parents) if place != Path(folder.anchor)]
    return VARIABLE in environment and not any(map(is_mount, places))
