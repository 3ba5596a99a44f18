"""outputs.json: every file of a run folder with its size and sha256. It is written last, and its presence means
complete.

A symbolic link is listed with where it leads, and is not followed; sockets, pipes and devices are no results and are
left out. Large files are hashed from the end of training on, the others at the end, several at once: that is as fast as
a disk reads them.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from innereye_runtime.data.fingerprint.hashing import file_sha256, parallel
from innereye_runtime.data.fingerprint.tree import display_path
from innereye_runtime.errors import OutputError, PreflightError
from innereye_runtime.run.background_hash import BackgroundHasher
from innereye_runtime.run.temporaries import files_below, is_temporary

NAME = "outputs.json"
_RECORD = "run.json"


def check_expected(root: Path, expect: Sequence[str]) -> None:
    """Makes sure that each glob of `outputs.expect` matches a file that is not empty.

    Raises:
        OutputError: one does not; all that do not are named.
    """
    problems = []
    for index, pattern in enumerate(expect):
        key = f"outputs.expect[{index}]: '{pattern}'"
        parts = PurePosixPath(pattern)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            problems.append(f"{key} is not a path inside the run folder")
            continue
        # Within a name two asterisks are as one: Python refuses them before 3.13.
        glob = "/".join(part if part == "**" else re.sub(r"\*+", "*", part) for part in parts.parts)
        files = [path for path in root.glob(glob) if path.is_file()]
        files = [path for path in files if path.resolve().is_relative_to(root.resolve())]
        if not files:
            problems.append(f"{key} matches no file in {display_path(root, '')}")
        elif not any(path.stat().st_size for path in files):
            names = ", ".join(sorted(display_path(path.relative_to(root), "") for path in files)[:5])
            problems.append(f"{key} matches only what is empty: {names}")
    if problems:
        raise OutputError(
            "\n".join(problems),
            hint="the container has to write these before it ends, relative to its working directory",
        )


def start_background_hashing(root: Path) -> BackgroundHasher:
    """Begins to hash what is in the run folder; give it to `write_outputs`."""
    return BackgroundHasher(root / name for name in _walk(root) if not (root / name).is_symlink())


def write_outputs(
    root: Path,
    expect: Sequence[str] = (),
    *,
    ahead: BackgroundHasher | None = None,
    complete: Callable[[], None] | None = None,
) -> None:
    """Writes outputs.json, or leaves none: hashes all files that are not hashed yet, then puts the list in place at
    once.

    `complete` writes run.json as that of a complete run: it is called when all else is hashed.

    Raises:
        OutputError: an expected output is missing or empty, a file can't be read, or the list can't be written.
        PreflightError: the disk is full.
    """
    listed = root / NAME
    temporary = root / f".{NAME}.{os.getpid()}"
    try:
        listed.unlink(missing_ok=True)
        check_expected(root, expect)
        names = [name for name in _walk(root) if complete is None or name != _RECORD]
        entries = list(_hashed(root, sorted(names), hash_file=ahead.sha256 if ahead else None))
        if complete is not None:
            complete()
            entries = sorted([*entries, *_hashed(root, [_RECORD])], key=lambda entry: str(entry["path"]))
        content = json.dumps({"schema": 1, "files": entries}, indent=1) + "\n"
        try:
            with temporary.open("w", encoding="ascii") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(listed)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        place = display_path(Path(os.fsdecode(error.filename)), "") if error.filename else display_path(listed, "")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PreflightError(
                f"disk full: the outputs can't be finished: {place}",
                hint="free some space and run innereye-run resume: the checkpoints are intact",
            ) from error
        raise OutputError(
            f"the outputs can't be finished: {place}: {error.strerror}", hint="the run folder is not complete"
        ) from error


def verify(root: Path) -> tuple[str, ...]:
    """What differs between a run folder and its outputs.json, a sentence each; empty where nothing does."""
    try:
        entries = _listed(root)
    except FileNotFoundError:
        return (f"{display_path(root / NAME, '')} is not there: the run did not end well, or was not finished",)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        return (f"{display_path(root / NAME, '')} can't be read: {error}",)
    there = set(_walk(root))
    problems = [f"{display_path(Path(name), '')} is not listed" for name in there - entries.keys()]
    problems += [f"{display_path(Path(name), '')} is missing" for name in entries.keys() - there]
    names = sorted(there & entries.keys())
    for name, found in zip(names, _hashed(root, names, missing_is_error=False), strict=True):
        shown, named = display_path(Path(name), ""), entries[name]
        if found.keys() != named.keys():
            problems.append(
                f"{shown} can't be read" if len(found) == 1 else f"{shown} is a {_kind(found)} and was a {_kind(named)}"
            )
        elif found.get("link") != named.get("link"):
            problems.append(f"{shown} leads to {found['link']!r} and led to {named['link']!r}")
        elif found.get("size") != named.get("size"):
            problems.append(f"{shown} has {found['size']:,} bytes and had {named['size']:,}")
        elif found.get("sha256") != named.get("sha256"):
            problems.append(f"{shown} has another content")
    return tuple(sorted(problems))


def restore_links(root: Path) -> None:
    """Makes the links that outputs.json lists, which no object store has: none through another link, to where that
    leads. What is there already stays; a list that can't be read is left to `verify`.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        for name, entry in _listed(root).items():
            path = root / name
            above = path.relative_to(root).parents
            if "link" in entry and not os.path.lexists(path) and not any((root / each).is_symlink() for each in above):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.symlink_to(entry["link"])


def remove_links_above(root: Path, files: Sequence[Path]) -> None:
    """Removes links in the run folder that one of `files` would be written through, to another place."""
    for parent in {parent for file in files for parent in file.relative_to(root).parents} - {Path()}:
        if (root / parent).is_symlink():
            (root / parent).unlink()


def _listed(root: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((root / NAME).read_text(encoding="utf-8"))
    if document["schema"] != 1:
        raise ValueError(f"its schema is {document['schema']}, and this version reads 1")
    entries: dict[str, dict[str, Any]] = {}
    for entry in document["files"]:
        path = PurePosixPath(entry["path"])
        if path.is_absolute() or ".." in path.parts or entry["path"] in entries:
            raise ValueError(
                f"it lists '{display_path(Path(path), '')}', which is not a path of a run folder or is listed twice"
            )
        if entry.keys() not in ({"path", "size", "sha256"}, {"path", "link"}):
            raise ValueError(f"the entry of '{display_path(Path(path), '')}' has other keys than a file or a link")
        if not isinstance(entry.get("size", 0), int):
            raise ValueError(f"the size of '{display_path(Path(path), '')}' is no number")
        entries[entry["path"]] = entry
    return entries


def _walk(root: Path) -> Iterator[str]:
    """The names of all files and links, with `/` between their parts: without outputs.json and what is no output."""
    return (name for name in files_below(root) if name != NAME and not is_temporary(name))


def _hashed(
    root: Path,
    names: Sequence[str],
    *,
    hash_file: Callable[[Path], tuple[int, str]] | None = None,
    missing_is_error: bool = True,
) -> Iterator[dict[str, Any]]:
    def entry(name: str) -> dict[str, Any]:
        path = root / name
        try:
            if path.is_symlink():
                return {"path": name, "link": os.fspath(path.readlink())}
            size, digest = (hash_file or file_sha256)(path)
        except OSError:
            if missing_is_error:
                raise
            return {"path": name}
        return {"path": name, "size": size, "sha256": digest}

    return parallel(entry, names, cost=lambda name: _size(f"{root}/{name}"))


def _size(path: str) -> int:
    """What goes to one thread together: small files, and a large one alone."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # met again where it is read


def _kind(entry: dict[str, Any]) -> str:
    return "link" if "link" in entry else "file"
