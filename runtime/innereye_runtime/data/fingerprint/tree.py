"""The files below a folder, with what `stat` says of each. What a dataset may hold is decided here.

- A name is a path relative to the folder, with `/` between its parts, byte for byte as the file system has it: names
  that only look the same (unicode twins) are two names. Names that are no UTF-8 are kept (PEP 383).
- A symbolic link counts as the file or folder that it names, as long as that lies in the tree. One that leads out, to
  nothing or round in a circle is an error: a container, and another machine, would see something else there.
- Empty folders do not count: a blob store has none. Sockets, pipes and devices are errors.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from innereye_runtime.errors import DataError


class TreeFile(NamedTuple):
    """One file and the part of its `stat` that changes when its content does."""

    name: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def walk(root: Path) -> list[TreeFile]:
    """All files below `root`, in no particular order.

    Raises:
        DataError: something below `root` can't be read or may not stand in a dataset; it is named.
    """
    files: list[TreeFile] = []
    top = os.fspath(root)
    pending: list[tuple[str, tuple[str, ...]]] = [("", ())]
    while pending:
        prefix, followed = pending.pop()
        try:
            with os.scandir(f"{top}/{prefix}") as entries:
                for entry in entries:
                    name = prefix + entry.name
                    if entry.is_symlink():
                        target = _target(root, name, followed)
                        if target.is_dir():
                            pending.append((name + "/", (*followed, os.fspath(target))))
                            continue
                        found = target.stat()
                        regular = target.is_file()
                    elif entry.is_dir(follow_symlinks=False):
                        pending.append((name + "/", followed))
                        continue
                    else:
                        found = entry.stat(follow_symlinks=False)
                        regular = entry.is_file(follow_symlinks=False)
                    if not regular:
                        raise DataError(
                            f"{display_path(root, name)} is a pipe, a socket or a device",
                            hint="a dataset consists of files; move this out of the folder",
                        )
                    files.append(TreeFile(name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
        except OSError as error:
            raise unreadable(error, root, prefix) from error
    return files


def display_path(root: Path, name: str) -> str:
    """The path of a file below `root` as a message can show it: what a terminal would act on, or not show, is
    escaped.
    """
    path = os.fspath(root / name) if name else os.fspath(root)
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)


def unreadable(error: OSError, root: Path, name: str) -> DataError:
    """What `error`, met while reading `name` below `root`, means to the user."""
    if isinstance(error, FileNotFoundError):
        return DataError(
            f"{display_path(root, name)} went away while it was read",
            hint="let nothing write to a dataset that a run reads",
        )
    return DataError(
        f"{display_path(root, name)} can't be read: {error.strerror or error}",
        hint="let this user read every file and folder of the dataset" if isinstance(error, PermissionError) else "",
    )


def _target(root: Path, name: str, followed: tuple[str, ...]) -> Path:
    """Where the link `name` ends, with no link left in the path. `followed` are the folders that links led to on the
    way.
    """
    path = root / name
    try:
        target = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{display_path(root, name)} is a link to {path.readlink()}, and that is not there",
            hint="remove the link, or restore the file",
        ) from None
    except (RuntimeError, OSError) as error:  # RuntimeError: what Python 3.11 and 3.12 raise for a link to itself
        raise DataError(
            f"{display_path(root, name)} is a link that leads nowhere: {error}", hint="remove the link"
        ) from None
    top = root.resolve()
    if not target.is_relative_to(top):
        raise DataError(
            f"{display_path(root, name)} is a link to {target}, outside of the dataset's folder",
            hint="copy the file into the folder: a container and another machine see the folder alone",
        )
    if os.fspath(target) in followed or (target.is_dir() and path.parent.resolve().is_relative_to(target)):
        raise DataError(
            f"{display_path(root, name)} is a link to {target}, which it lies in: it never ends", hint="remove the link"
        )
    return target
