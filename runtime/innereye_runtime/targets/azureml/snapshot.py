"""The code of a job: a copy of the files that are the project's own, symlink-safe, its size known before anything is
sent.

In a git repository these are the files that git tracks and those that it does not ignore; where git can't be asked,
those that no .gitignore names, but for caches and environments. A `.amlignore` in the root takes further files out, by
the same rules. Files that look like secrets are left out unless a line `!NAME` of `.amlignore` names them.
"""

from __future__ import annotations

import os
import shutil
import stat
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

from innereye_runtime.errors import UsageError
from innereye_runtime.job.git import Repository
from innereye_runtime.job.ignore_rules import Rule, ignored, read_rules, walked
from innereye_runtime.job.secret_files import looks_secret

LARGEST_BYTES = 300 << 20
"""What AzureML itself takes at most for a snapshot of code."""
LARGEST_COUNT = 100_000
"""More files than this are nobody's code: listing them ends there."""
MANY_FILES, MANY_BYTES = 1_000, 50 << 20
"""What one folder of code has at most, before it is named."""
IGNORE_FILE = ".amlignore"


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

    def large_folders(self) -> Iterator[str]:
        """A sentence for each folder with more files, or more bytes, than code has, and the line that leaves it out.
        The innermost such folder is named; what it has does not count for those above it.
        """
        sizes: dict[str, list[int]] = {}
        for place, path in self.files:
            size = path.stat().st_size
            for parent in PurePosixPath(place).parents:
                total = sizes.setdefault(parent.as_posix(), [0, 0])
                total[0] += 1
                total[1] += size
        for name in sorted(sizes, key=lambda each: (-each.count("/") if each != "." else 1, each)):
            count, size = sizes[name]
            if count <= MANY_FILES and size <= MANY_BYTES:
                continue
            for folder in (name, *(each.as_posix() for each in PurePosixPath(name).parents)):
                sizes[folder][0] -= count
                sizes[folder][1] -= size
            files = "1 file" if count == 1 else f"{count:,} files"
            yield f"{_called(name)}: {files}, {size / 1e6:.0f} MB of the code; {_line_for(name)}"

    def copy_to(self, folder: Path) -> None:
        """Fills `folder` with copies, regular files only: the SDK would follow links to wherever they lead."""
        for place, path in self.files:
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        # The SDK would leave out what .gitignore names, also where git tracks it: what is sent was chosen here.
        (folder / IGNORE_FILE).write_text("")


def _called(folder: str) -> str:
    return "the project's own folder" if folder == "." else f"{folder}/"


def _line_for(folder: str) -> str:
    if folder == ".":
        return f"name in .gitignore or {IGNORE_FILE} what is not code"
    ends = f"a line '/{folder}/' in {IGNORE_FILE}, or in .gitignore where git does not track it, leaves it out"
    return f"{ends}; data belongs in a dataset"


def take_snapshot(root: Path, *, without: Path) -> Snapshot:
    """The project's files below `root`, but for those below `without`: the folder of earlier runs.

    Raises:
        UsageError: a file can't be read, or git can't list the files of a repository.
    """
    outputs = without.relative_to(root).as_posix() if without.is_relative_to(root) and without != root else None
    ours = (name for name in _listed(root) if outputs is None or not f"{name}/".startswith(f"{outputs}/"))
    listed = list(islice(ours, LARGEST_COUNT + 1))
    if len(listed) > LARGEST_COUNT:
        raise _too_many(root, listed)
    rules = read_rules(root / IGNORE_FILE)
    secret = [name for name in listed if looks_secret(name) and not _named(name, rules)]
    names = set(listed) - set(secret)
    listed = in_order = sorted(names)
    files: dict[str, Path] = {}
    left_out = [f"{name}: looks like a secret; a line !{name} in {IGNORE_FILE} sends it" for name in secret]
    for name in listed:
        path = root / name
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            continue  # tracked, and removed from the working tree
        if stat.S_ISREG(mode):
            files[name] = path
        elif stat.S_ISLNK(mode):
            linked = _linked(root, name, in_order)
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


def _too_many(root: Path, listed: list[str]) -> UsageError:
    folders = Counter(name.partition("/")[0] for name in listed if "/" in name)
    most, count = folders.most_common(1)[0] if folders else (".", len(listed))
    return UsageError(
        f"{root} has more than {LARGEST_COUNT:,} files that would go with a job, {count:,} of them in {_called(most)}",
        hint=_line_for(most),
    )


def _linked(root: Path, name: str, names: list[str]) -> dict[str, Path]:
    """The files that a link stands for: the one that it leads to, or those of a folder, where these are the
    project's. `names` are sorted.
    """
    target = (root / name).resolve()
    if not target.is_relative_to(root.resolve()):
        return {}
    inside = target.relative_to(root.resolve()).as_posix()
    if target.is_file():
        return {name: target} if inside in names[bisect_left(names, inside) :][:1] else {}
    found = {}
    first = 0 if inside == "." else bisect_left(names, f"{inside}/")
    for other in islice(names, first, None):
        if inside != "." and not other.startswith(f"{inside}/"):
            break
        path = root / other
        if path.is_file() and not path.is_symlink():
            found[f"{name}/{PurePosixPath(other).relative_to(inside)}"] = path
    return found


def _named(name: str, rules: list[Rule]) -> bool:
    """True where a line `!NAME` takes the file `name` itself back in."""
    return any(rule.takes_back and rule.matches(name, is_folder=False) for rule in rules)


def _listed(root: Path) -> Iterator[str]:
    """The names of the project's files, with '/', relative to `root`."""
    rules = read_rules(root / IGNORE_FILE)
    own = _git(root, "--cached", "--others", "--exclude-standard")
    if own is None:
        yield from (name for name in walked(root) if not ignored(name, rules))
        return
    for name in dict.fromkeys(own):
        if ignored(name.rstrip("/"), rules):
            continue
        path = root / name
        if path.is_dir() and not path.is_symlink():  # a submodule, or a repository inside this one
            inner = (f"{name.rstrip('/')}/{below}" for below in _listed(path))
            yield from (below for below in inner if not ignored(below, rules))
        else:
            yield name


def _git(root: Path, *options: str) -> list[str] | None:
    """What `git ls-files` lists below `root`; None where it is not in a repository that git trusts.

    Raises:
        UsageError: it is, and git can't list it: what it ignores, secrets among it, would be sent.
    """
    answer = Repository(root).files(*options)
    if answer.output is not None:
        return [os.fsdecode(name) for name in answer.output.split(b"\0") if name]
    if answer.missing or answer.foreign or not _in_repository(root):
        return None
    raise UsageError(
        f"{root} is in a git repository, and its files can't be listed: {answer.failure}",
        hint="the job's code is what git tracks or does not ignore; check git status there",
    )


def _in_repository(root: Path) -> bool:
    return any((folder / ".git").exists() for folder in (root, *root.resolve().parents))
