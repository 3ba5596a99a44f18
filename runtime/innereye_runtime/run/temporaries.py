"""Files that are still being written in a run folder: a writer that was killed leaves its own behind."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from innereye_runtime.run.paths import LOCK_NAME, MIRROR_NAME, RunPaths

_NAMES = re.compile(
    r"\.(?:run\.json|metrics\.csv|metrics\.json|report\.html|\.mirror\.json)\.\d+\.tmp"
    r"|\.run\.json\.room|\.outputs\.json\.\d+"
    r"|(?:.+/)?\.[^/]+\.ckpt\.tmp"  # also those of the user's own ModelCheckpoint
    r"|figures/\.[^/]+\.tmp|pretrained_models/\.[^/]+\.part"
)

_KEPT = (LOCK_NAME, MIRROR_NAME)


def is_temporary(name: str) -> bool:
    """Whether the file of this name, below the run folder and with `/` between its parts, is no output: one that the
    runtime writes and renames when it is whole, or its lock, or what is known of its remote copy."""
    return name in _KEPT or _NAMES.fullmatch(name) is not None


def files_below(root: Path) -> Iterator[str]:
    """The names of all files and links, with `/` between their parts. Sockets, pipes and devices are left out.

    Raises:
        OSError: a folder can't be read.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{prefix}{entry.name}/")
                elif entry.is_symlink() or entry.is_file():
                    yield prefix + entry.name


def remove_temporaries(paths: RunPaths) -> None:
    """Removes what killed writers left behind. Only for the process that holds the folder's lock.

    Raises:
        OSError: the folder can't be read or written.
    """
    for name in list(files_below(paths.root)):
        if name not in _KEPT and is_temporary(name):
            (paths.root / name).unlink(missing_ok=True)
