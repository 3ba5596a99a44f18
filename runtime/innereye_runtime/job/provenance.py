"""What a run was made of, besides its manifest: the code's commit and changes, packages, the machine."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from innereye_runtime.job.git import Repository
from innereye_runtime.job.secret_files import looks_secret

_LARGEST_DIFF = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    root: str
    commit: str | None = None
    dirty: bool = False
    diff: str = ""
    """Against the commit, without untracked files; cut at 1 MiB."""
    left_out: Sequence[str] = ()
    """Files that were changed and look like secrets: the diff is without them."""
    git_failure: str = ""
    """Why git has no answer: the repository belongs to another user, or git can't read it."""


def code(root: Path) -> Code:
    """The commit of the working tree at `root` and what was changed since; no commit where it is not under git."""
    repository = Repository(root)
    commit = repository.commit()
    if commit.text is None:
        return Code(root=str(root), git_failure=commit.failure if commit.foreign else "")
    code = Code(root=str(root), commit=commit.text.strip())
    changed = repository.changed()
    if changed.text is None:
        return replace(code, git_failure=changed.failure)
    if not changed.text:
        return code
    names = (repository.changed_names().text or "").split("\0")
    left_out = tuple(name for name in names if looks_secret(name))
    diff = repository.diff(without=left_out)
    return replace(
        code, dirty=True, diff=(diff.text or "")[:_LARGEST_DIFF], left_out=left_out, git_failure=diff.failure
    )


def packages() -> dict[str, str]:
    """Name and version of every distribution on the import path, sorted.

    Read from the names of the metadata folders: opening each of a few hundred metadata files would take longer than the
    first epoch of a small model.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            entries = os.listdir(folder or ".")  # noqa: PTH208 - a zip file on the path is no error here
        except OSError:
            continue
        for entry in entries:
            match = re.fullmatch(r"(.+?)-([^-]+)\.dist-info", entry)
            if match is not None:
                found.setdefault(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
    return dict(sorted(found.items()))


def hardware() -> dict[str, Any]:
    """Processor, cores and memory of this machine. The GPUs are filled in by the training side, which has torch."""
    return {"cpu": _cpu(), "cores": len(os.sched_getaffinity(0)), "memory_bytes": _memory(), "gpus": []}


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # no such file outside Linux
    return platform.processor() or platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
