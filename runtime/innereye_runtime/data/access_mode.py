"""What is done with a dataset that is not on a disk of this machine: mounted or downloaded, and why."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from innereye_runtime.data.progress import format_size
from innereye_runtime.data.sources.source import FileEntry

Mode = Literal["mount", "download"]

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs", "9p", "afs"}


@dataclass(frozen=True, slots=True)
class ModeDecision:
    mode: Mode
    reason: str


def select_mode(
    asked: str, items: Sequence[FileEntry], *, free_space: int, cached: bool, no_mount: str
) -> ModeDecision | None:
    """What to do with a folder of blobs; None where `mount` is asked for and can't be had.

    `free_space` is how many bytes the cache can take, `no_mount` why nothing can be mounted ("" where it can).
    """
    if asked == "download":
        return ModeDecision("download", "requested by the manifest")
    if asked == "mount":
        return None if no_mount else ModeDecision("mount", "requested by the manifest")
    total = sum(item.size for item in items)
    said = f"{len(items):,} files, {format_size(total)}"
    if cached:
        return ModeDecision("download", f"{said}: the cache has them already")
    if total <= free_space:
        return ModeDecision(
            "download", f"{said}: they fit the cache, and each epoch after the first reads them at disk speed"
        )
    if no_mount:
        return ModeDecision(
            "download",
            f"{said}: too many for the cache ({format_size(free_space)}), and they can't be mounted: {no_mount}",
        )
    return ModeDecision("mount", f"{said}: too many for the cache, which has room for {format_size(free_space)}")


def network_file_system(path: Path) -> str:
    """The type of the file system that `path` is on where it is one that machines share; else ""."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    wanted, best, kind = os.fspath(path.resolve()), "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        point = left.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        inside = wanted == point or wanted.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind if kind in _NETWORK or kind.startswith("fuse.") else ""
