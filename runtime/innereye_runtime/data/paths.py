"""A folder that a manifest or a launcher names: there, readable, or an error that says what is near."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

from innereye_runtime.data.fingerprint.tree import display_path
from innereye_runtime.errors import DataError


def require_readable_dir(path: Path, key: str) -> Path:
    """The absolute path of a folder that is there and that this user can read. `key` is what named it ("": a person).

    Raises:
        DataError: it isn't, with the path, the key and what is near.
    """
    path = path.absolute()
    shown, said = display_path(path, ""), f"{key}: " if key else ""
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError as error:
        raise DataError(f"{said}{shown} can't be reached: {error.strerror}") from error
    if is_folder:
        if os.access(path, os.R_OK | os.X_OK):
            return path
        raise DataError(
            f"{said}the folder {shown} can't be read by this user", hint=f"chmod -R u+rX {shown}, or ask its owner"
        )
    if exists:
        hint = f"name its folder: {display_path(path.parent, '')}"
        raise DataError(f"{said}{shown} is a file, and a dataset is a folder", hint=hint)
    raise DataError(f"{said}there is no folder {shown}", hint=_nearest(path))


def _nearest(path: Path) -> str:
    """A hint from the deepest folder on the way to `path` that is there."""
    there = next(parent for parent in path.parents if parent.is_dir())
    missing = path.relative_to(there).parts[0]
    try:
        folders = sorted(child.name for child in there.iterdir() if child.is_dir())
    except OSError:
        return f"{display_path(there, '')} is there, and can't be listed by this user"
    plain = {name.casefold(): name for name in folders}
    if match := get_close_matches(missing.casefold(), plain, n=1, cutoff=0.7):
        return f"did you mean {display_path(there / plain[match[0]], '')}?"
    some = ", ".join(display_path(Path(name), "") for name in folders[:5]) + (", ..." if len(folders) > 5 else "")
    return f"{display_path(there, '')} holds {some}" if folders else f"{display_path(there, '')} holds no folder"
