"""Where this room keeps things on this machine: the user's cache folder, read from the environment when it is asked
for.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_home() -> Path:
    """`innereye-runtime` in the user's cache folder; it need not exist.

    Source: XDG Base Directory Specification 0.8: `$XDG_CACHE_HOME`, where that is an absolute path, else `~/.cache`.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if named.startswith("/") else Path("~/.cache").expanduser()
    return base / "innereye-runtime"
