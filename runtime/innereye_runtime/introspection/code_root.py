"""Where a project is: the root of the user's code, and the folders that its modules are imported from. One rule,
whatever the target and the folder that a command is given in.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_ROOT_MARKS: Final = (".git", "pyproject.toml", "setup.py", "setup.cfg")
NOT_USERS: Final = ("node_modules", "site-packages", "dist-packages", "__pycache__", "outputs", "build", "dist")
"""Folders without code of the user's, beside those whose names begin with a dot."""


def code_root(manifest_path: Path | None, cwd: Path) -> Path:
    """The root of the user's code: the nearest folder at or above the manifest (without one: at or above `cwd`) that
    holds .git, pyproject.toml, setup.py or setup.cfg. Without such a mark it is `cwd`, where the manifest lies in it,
    else the manifest's folder; and in place of a folder of manifests alone, the folder above it, where that has code.

    A folder above the manifest that another user owns, or a mark that another user put there, ends the search: modules
    are imported from the root.
    """
    folder = cwd if manifest_path is None else (cwd / manifest_path).parent
    trusted = _trusted_owners(folder)
    for candidate in (folder, *folder.parents):
        if candidate != folder and not _owned(candidate, trusted):
            break
        marks = [candidate / mark for mark in _ROOT_MARKS if (candidate / mark).exists()]
        if (candidate == folder and marks) or any(_owned(mark, trusted) for mark in marks):
            return candidate
    root = cwd if folder.is_relative_to(cwd) else folder
    if manifest_path is None or root != folder or _modules_in(folder) or _modules_in(folder / "src"):
        return root
    above = folder.parent
    is_project = above not in (Path(above.anchor), Path.home()) and _owned(above, trusted) and not _shared(above)
    return above if is_project and _is_project(above) else root


def search_path(manifest_path: Path | None, cwd: Path) -> tuple[Path, ...]:
    """The folders that user modules are imported from, first to last: the code root, then each folder from there down
    to the manifest's; and after each of them its `src`, or what its pyproject.toml says that packages lie in.
    """
    root = code_root(manifest_path, cwd)
    return folders_down_to(root, root if manifest_path is None else (cwd / manifest_path).parent)


def folders_down_to(root: Path, folder: Path) -> tuple[Path, ...]:
    """The folders that modules are imported from, where the root is `root` and the manifest lies in `folder`."""
    if not folder.is_relative_to(root):
        return (*import_folders(root), folder)
    parts = folder.relative_to(root).parts
    down = (root.joinpath(*parts[:count]) for count in range(len(parts) + 1))
    return tuple(dict.fromkeys(place for each in down for place in import_folders(each)))


def import_folders(root: Path) -> tuple[Path, ...]:
    """A folder of code, and the folders inside of it that its packages are imported from."""
    sources = (root / "src",) if _modules_in(root / "src") else ()
    if not any((root / mark).is_file() for mark in _ROOT_MARKS[1:]):
        return (root, *sources)
    from innereye_runtime.packages.source_folders import source_folders

    return tuple(dict.fromkeys((root, *source_folders(root), *sources)))


def _is_project(folder: Path) -> bool:
    """Whether a folder has modules or packages of its own, and not just folders of other projects."""
    packages = any((below / "__init__.py").is_file() for below in _folders_in(folder))
    return any(_python_in(folder)) or packages or _modules_in(folder / "src")


def _modules_in(folder: Path) -> bool:
    """Whether a folder has modules, or folders of modules."""
    return any(_python_in(folder)) or any(any(_python_in(below)) for below in _folders_in(folder))


def _python_in(folder: Path) -> Iterator[bool]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        yield from (True for each in entries if each.name.endswith(".py"))


def _folders_in(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            if not each.name.startswith((".", "venv")) and each.name not in NOT_USERS and each.is_dir():
                yield folder / each.name


def _shared(folder: Path) -> bool:
    """Whether other users may write there, as in /tmp."""
    with contextlib.suppress(OSError):
        return bool(folder.stat().st_mode & 0o002)
    return True


def _trusted_owners(folder: Path) -> set[int]:
    """The users whose folders above `folder` may be the code root: the caller, root, and whoever owns `folder`."""
    owners = {0, os.geteuid()}
    if os.geteuid() == 0 and os.environ.get("SUDO_UID", "").isdecimal():
        owners.add(int(os.environ["SUDO_UID"]))
    with contextlib.suppress(OSError):
        owners.add(folder.stat().st_uid)
    return owners


def _owned(path: Path, owners: set[int]) -> bool:
    try:
        return path.stat().st_uid in owners
    except OSError:
        return False
