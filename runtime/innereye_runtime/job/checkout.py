"""The code of an earlier run, once more: its commit in a worktree of its repository, with the changes that it had."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from innereye_runtime.errors import UsageError
from innereye_runtime.job import provenance
from innereye_runtime.job.git import Repository

_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    root: Path
    """The code root."""
    notes: tuple[str, ...] = ()
    """What is not as it was, or may not be."""


@contextmanager
def checked_out(code: Mapping[str, Any], *, here: Path | None = None) -> Iterator[Checkout]:
    """The code that run.json describes under `code`, for as long as the block lasts. Code that is in no repository is
    used as it is now. `here`: the same project in another checkout, for a commit that is not where it was.

    Raises:
        UsageError: the commit can't be had, or the changes can't be applied to it.
    """
    recorded, commit = Path(str(code.get("root"))), code.get("commit")
    places = [place for place in (recorded, here) if place is not None and place.is_dir()]
    root = next((place for place in places if commit and Repository(place).has(str(commit))), recorded)
    if not root.is_dir():
        raise UsageError(
            f"the code of the run is not there any more: {root}",
            hint=f"put it back, or call this in a checkout that has commit {commit}" if commit else "put it back",
        )
    if not commit:
        yield Checkout(root=root, notes=(f"the code was in no repository: {root} is used as it is now",))
        return
    repository = Repository(root)
    prefix = repository.prefix()
    if prefix.text is None:
        raise UsageError(f"git can't read the repository of {root}: {prefix.failure}", hint="put it back, or clone it")
    with tempfile.TemporaryDirectory(prefix="innereye-rerun-") as folder:
        worktree = Path(folder, "code")
        added = repository.add_worktree(worktree, str(commit))
        if added.output is None:
            raise UsageError(
                f"commit {commit} can't be checked out: {added.failure}", hint=f"git -C {root} fetch may have it"
            )
        try:
            _apply(worktree, str(code.get("diff") or ""))
            inside = worktree / (prefix.text or "").strip()
            elsewhere = () if root == recorded else (f"the commit is that of {root}: {recorded} does not have it",)
            yield Checkout(root=inside, notes=(*elsewhere, *_notes(code)))
        finally:
            repository.remove_worktree(worktree)


def packages_that_differ(recorded: Mapping[str, str]) -> tuple[str, ...]:
    """One line on the packages of this interpreter that have other versions than those of the run; none if all fit."""
    installed = provenance.packages()
    differing = [
        f"{name} {version} (here {installed.get(name, 'none')})"
        for name, version in recorded.items()
        if installed.get(name) != version
    ]
    if not differing:
        return ()
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return (f"the run had other packages: {', '.join(differing[:_SHOWN])}{more}",)


def _apply(worktree: Path, diff: str) -> None:
    if not diff:
        return
    applied = Repository(worktree).apply(diff)
    if applied.output is None:
        raise UsageError(
            f"the recorded changes can't be applied to the commit: {applied.failure}",
            hint="changes of binary files are not recorded, nor is what is beyond 1 MiB",
        )


def _notes(code: Mapping[str, Any]) -> Iterator[str]:
    if code.get("dirty"):
        yield "files that git did not track are not recorded, and are left out"
    if left_out := code.get("left_out"):
        yield f"changes of files that look like secrets are not recorded: {', '.join(left_out)}"
