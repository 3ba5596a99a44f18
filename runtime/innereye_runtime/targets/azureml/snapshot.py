"""The code of a job: a copy of the files that are the project's own, symlink-safe, its size known before anything is
sent.

In a git repository these are the files that git tracks and those that it does not ignore; elsewhere all but caches and
environments. A `.amlignore` in the root takes files out, in git's own words.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from innereye_runtime.errors import UsageError
from innereye_runtime.job.provenance import GIT

LARGEST_BYTES = 300 << 20
"""What AzureML itself takes at most for a snapshot of code."""
IGNORE_FILE = ".amlignore"
_LEFT_OUT = {".git", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files to send: where each lies in the job's code, and here."""

    files: tuple[tuple[str, Path], ...]
    bytes: int
    left_out: tuple[str, ...]
    """What is not sent, with the reason, in words."""

    def check_size(self) -> None:
        """Nothing for a snapshot that AzureML takes.

        Raises:
            UsageError: it is too large; names the largest files.
        """
        if self.bytes <= LARGEST_BYTES:
            return
        largest = sorted(self.files, key=lambda file: file[1].stat().st_size, reverse=True)[:3]
        named = ", ".join(f"{place} ({path.stat().st_size >> 20} MB)" for place, path in largest)
        raise UsageError(
            f"the code has {self.bytes >> 20} MB, more than the {LARGEST_BYTES >> 20} MB that go with a job; "
            f"the largest files: {named}",
            hint=f"name in .gitignore or {IGNORE_FILE} what is not code; data belongs in a dataset",
        )

    def copy_to(self, folder: Path) -> None:
        """Fills `folder` with copies, regular files only: the SDK would follow links to wherever they lead."""
        for place, path in self.files:
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        # The SDK would leave out what .gitignore names, also where git tracks it: what is sent was chosen here.
        (folder / IGNORE_FILE).write_text("")


def take_snapshot(root: Path, *, without: Path) -> Snapshot:
    """The project's files below `root`, but for those below `without`: the folder of earlier runs.

    Raises:
        UsageError: a file can't be read, or git can't list the files of a repository.
    """
    outputs = without.relative_to(root).as_posix() if without.is_relative_to(root) and without != root else None
    listed = [name for name in _listed(root) if outputs is None or not PurePosixPath(name).is_relative_to(outputs)]
    names = set(listed)
    files: dict[str, Path] = {}
    left_out: list[str] = []
    for name in listed:
        path = root / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # tracked, and removed from the working tree
        if stat.S_ISREG(mode):
            files[name] = path
        elif stat.S_ISLNK(mode):
            linked = _linked(root, name, names)
            if not linked:
                left_out.append(f"{name}: a link to what is not part of the code ({path.readlink()})")
            files.update(linked)
        else:
            left_out.append(f"{name}: no regular file")
    unreadable = next((name for name, path in files.items() if not os.access(path, os.R_OK)), None)
    if unreadable is not None:
        raise UsageError(
            f"{root / unreadable} can't be read, and would be missing from the job's code",
            hint=f"make it readable, or name it in {IGNORE_FILE}",
        )
    chosen = tuple(sorted(files.items()))
    return Snapshot(files=chosen, bytes=sum(path.stat().st_size for _, path in chosen), left_out=tuple(left_out))


def _linked(root: Path, name: str, names: set[str]) -> dict[str, Path]:
    """The files that a link stands for: the one that it leads to, or those of a folder, where these are the
    project's.
    """
    target = (root / name).resolve()
    if not target.is_relative_to(root.resolve()):
        return {}
    inside = target.relative_to(root.resolve()).as_posix()
    if target.is_file():
        return {name: target} if inside in names else {}
    found = {}
    for other in names:
        path = root / other
        if PurePosixPath(other).is_relative_to(inside) and path.is_file() and not path.is_symlink():
            found[f"{name}/{PurePosixPath(other).relative_to(inside)}"] = path
    return found


def _listed(root: Path) -> Iterator[str]:
    """The names of the project's files, with '/', relative to `root`."""
    own = _git(root, "--cached", "--others", "--exclude-standard")
    if own is None:
        names = list(_walked(root))
        yield from names
        return
    ignore = root / IGNORE_FILE
    excluded: set[str] = set()
    if ignore.is_file():
        for kind in ("--cached", "--others"):
            excluded.update(_git(root, kind, "--ignored", f"--exclude-from={ignore}") or ())
    for name in dict.fromkeys(own):
        if name in excluded:
            continue
        path = root / name
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
            yield from (f"{name.rstrip('/')}/{below}" for below in _listed(path))
        else:
            yield name


def _git(root: Path, *options: str) -> list[str] | None:
    """What `git ls-files` lists below `root`; None where that is no part of a repository.

    Raises:
        UsageError: it is, and git can't list it: what it ignores, secrets among it, would be sent.
    """
    command = [*GIT, "-C", str(root), "ls-files", "-z", *options]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        failure = f"{command[0]}: {error.strerror}"
    else:
        if done.returncode == 0:
            return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
        failure = done.stderr.decode(errors="replace").strip().partition("\n")[0]
    if not any((folder / ".git").exists() for folder in (root, *root.resolve().parents)):
        return None
    raise UsageError(
        f"{root} is in a git repository, and its files can't be listed: {failure}",
        hint="the job's code is what git tracks or does not ignore; check git status there",
    )


def _walked(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (Path(folder) / name).relative_to(root).as_posix()
