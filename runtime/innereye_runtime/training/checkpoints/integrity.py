"""Whether the file of a checkpoint is whole. PyTorch stores a checksum of each part, and does not look at it."""

from __future__ import annotations

import zipfile
from pathlib import Path


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's file, in words; None: nothing, or it is of a format without checksums.

    Raises:
        OSError: it can't be read.
    """
    if path.stat().st_size == 0:
        return "it is empty"
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (
        zipfile.BadZipFile,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:  # whatever a flipped bit makes of it
        return f"it is damaged: {error}"
    return f"it is damaged: the checksum of {damaged} is wrong" if damaged is not None else None
