"""Which file a module is, without importing it or the packages that it is in."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from innereye_runtime.compat.extended_packages import EXTENDED, SHIPPED


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFile:
    """A module's source. `file` is None for a namespace package, `folders` are empty for all but packages."""

    name: str
    file: Path | None
    folders: tuple[Path, ...]


def locate(module: str, search_path: Sequence[Path]) -> ModuleFile | None:
    """The place of `module`, first in `search_path` and then where Python looks; None where it has no source, or
    isn't there. The runtime's own modules are those that run, also in a checkout of it."""
    path: list[str] = [*map(str, search_path), *sys.path]
    found: ModuleSpec | None = None
    parts = module.split(".")
    if parts[0] in (*EXTENDED, "innereye_runtime"):
        path.insert(0, str(SHIPPED))
    if not all(part.isidentifier() for part in parts):
        return None
    for count in range(1, len(parts) + 1):
        found = _spec(".".join(parts[:count]), path)
        if found is None:
            return None
        folders = [str(folder) for folder in found.submodule_search_locations or ()]
        if folders and parts[0] in EXTENDED and Path(folders[0]).is_relative_to(SHIPPED):
            folders += (str(folder) for entry in path if (folder := Path(entry, parts[count - 1])).is_dir())
        path = list(dict.fromkeys(folders))
    if found is None:
        return None
    file = Path(found.origin) if found.has_location and found.origin and found.origin.endswith(".py") else None
    return ModuleFile(name=module, file=file, folders=tuple(map(Path, path))) if file or path else None


def _spec(name: str, path: list[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is None:
            continue
        # For a namespace package this finder asks for the parent's module, which isn't imported; the last part of the
        # name is all that it looks for on a path.
        found: ModuleSpec | None = find_spec(name.rpartition(".")[2] if finder is PathFinder else name, path)
        if found is not None:
            return found
    return None
