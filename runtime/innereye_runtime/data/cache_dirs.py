"""Where this room keeps things on this machine: the user's cache folder, read from the environment when it is asked
for.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from innereye_runtime.errors import UsageError


def user_home() -> Path:
    """The user's home folder; `/` for a user who has none, as a container engine has it too."""
    try:
        return Path.home()
    except RuntimeError:  # no HOME, and no entry in the list of users
        return Path("/")


def cache_home() -> Path:
    """`innereye-runtime` in the user's cache folder; it need not exist.

    Source: XDG Base Directory Specification 0.8: `$XDG_CACHE_HOME`, where that is an absolute path, else `~/.cache`.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if named.startswith("/") else user_home() / ".cache"
    return base / "innereye-runtime"


def cache_limit(folder: Path) -> int:
    """How many bytes the datasets in the cache may take: `INNEREYE_CACHE_LIMIT` (as in `500g`), else half of the disk
    that `folder` is on.

    Raises:
        UsageError: the variable is no size.
    """
    text = os.environ.get("INNEREYE_CACHE_LIMIT", "")
    if text:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
        if match is None:
            raise UsageError(
                f"INNEREYE_CACHE_LIMIT: '{text}' is not a size", hint="write a number and a unit, as in 500g"
            )
        return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))
    return shutil.disk_usage(nearest_existing_parent(folder)).total // 2


def nearest_existing_parent(path: Path) -> Path:
    """`path`, or the nearest folder above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())
