"""What a run was made of, besides its manifest: the code's commit and changes, packages, the machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GIT = ("git", "-c", "safe.directory=*")
"""Git, also in a working tree of another user (a mounted one, or root's): whoever runs its code trusts it."""
_LARGEST_DIFF = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    root: str
    commit: str | None = None
    dirty: bool = False
    diff: str = ""
    """Against the commit, without untracked files; cut at 1 MiB."""


def code(root: Path) -> Code:
    """The commit of the working tree at `root` and what was changed since; no commit where it is not under git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                [*GIT, "-C", str(root), *arguments],
                capture_output=True,
                timeout=20,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if commit is None:
        return Code(root=str(root))
    status = git("status", "--porcelain", "--", ".")
    diff = git("diff", "HEAD", "--", ".") if status else ""
    return Code(root=str(root), commit=commit.strip(), dirty=bool(status), diff=(diff or "")[:_LARGEST_DIFF])


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
