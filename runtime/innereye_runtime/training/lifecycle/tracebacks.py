"""A traceback as its reader needs it: the lines of the user's own code, out of the many that led there."""

from __future__ import annotations

import re
import sysconfig
from itertools import pairwise
from pathlib import Path
from traceback import FrameSummary, StackSummary, TracebackException

import innereye_runtime

_OURS = Path(innereye_runtime.__file__).parent
_EXAMPLES = _OURS / "examples"
_STANDARD = Path(sysconfig.get_path("stdlib"))
_INSTALLED = ("site-packages", "dist-packages")
_WORKER = re.compile(r"Caught \w+ in DataLoader worker process (\d+)\.\s+Original (Traceback [^\n]*\n.*)", re.DOTALL)
"""How PyTorch raises in this process what was raised in a worker: as text."""
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+).*\n(?:    .*\n)*')
_HEADER = "Traceback (most recent call last):"


def format_traceback(error: BaseException, *, package: str = "") -> str:
    """The traceback of `error` and of those that led to it, with the frames of the user's code alone; without any where
    none takes part. `package`: the top-level name of the user's package, which may be an installed one.

    An error that is raised in this package itself is shown whole, and so are those of an exception group.
    """
    if (worker := worker_error(error)) is not None:
        kept = "".join(block[0] for block in _FRAME.finditer(worker.traceback) if _is_users(block["file"], package))
        return f"{_HEADER}\n{kept}{worker.summary}"
    told = TracebackException.from_exception(error)
    pending: list[TracebackException | None] = [told]
    while pending:
        each = pending.pop()
        if each is not None:
            _shorten(each, package)
            pending += [each.__cause__, each.__context__]
    return "".join(told.format()).rstrip()


def format_whole_traceback(error: BaseException) -> str:
    """The traceback as Python shows it."""
    return "".join(TracebackException.from_exception(error).format()).rstrip()


class WorkerError:
    """What a data loader's worker raised, read from the text in which PyTorch hands it over."""

    def __init__(self, number: str, traceback: str) -> None:
        self.number = number
        self.traceback = traceback
        lines = traceback.rstrip().split("\n")
        start = max((n for n, line in enumerate(lines) if line.startswith(" ")), default=-1) + 1
        self.summary = "\n".join(lines[start:])
        """The error's type and message."""


def worker_error(error: BaseException) -> WorkerError | None:
    """The error of a worker that `error` stands for; None where it is one of this process."""
    found = _WORKER.match(str(error))
    return WorkerError(found[1], found[2]) if found else None


def is_users(frame: FrameSummary) -> bool:
    """Whether a frame is of the user's own code, or of an example."""
    return _kind(frame.filename) == "user"


def is_users_file(filename: str) -> bool:
    """Whether a file is of the user's own code, or an example."""
    return _kind(filename) == "user"


def _shorten(told: TracebackException, package: str) -> None:
    kinds = ["user" if _is_users(frame.filename, package) else _kind(frame.filename) for frame in told.stack]
    if "user" in kinds:
        kept = [frame for frame, kind in zip(told.stack, kinds, strict=True) if kind == "user"]
    elif told.exc_type is SyntaxError or (kinds and kinds[-1] == "library"):
        kept = []
    else:
        return
    told.stack = StackSummary.from_list(kept)


def _is_users(filename: str, package: str) -> bool:
    if _kind(filename) == "user":
        return True
    parts = Path(filename).parts
    return bool(package) and any(
        pair[0] in _INSTALLED and pair[1] in (package, f"{package}.py") for pair in pairwise(parts)
    )


def _kind(filename: str) -> str:
    """user, ours, import (Python's own import system) or library."""
    path = Path(filename)
    if filename.startswith("<frozen importlib") or path.parent == _STANDARD / "importlib":
        return "import"
    if path.is_relative_to(_OURS) and not path.is_relative_to(_EXAMPLES):
        return "ours"
    if filename.startswith("<") or path.is_relative_to(_STANDARD) or set(path.parts) & set(_INSTALLED):
        return "library"
    return "user"
