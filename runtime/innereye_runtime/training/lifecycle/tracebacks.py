"""A traceback as its reader needs it: from the user's own code on, without the way that led there."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from traceback import FrameSummary, TracebackException

import innereye_runtime

_OURS = Path(innereye_runtime.__file__).parent
_EXAMPLES = _OURS / "examples"
_STANDARD = Path(sysconfig.get_path("stdlib"))
_INSTALLED = ("site-packages", "dist-packages")


def format_traceback(error: BaseException) -> str:
    """The traceback of `error` and of those that led to it, without the frames before the first one of the user's code.

    Where no code of the user's takes part, the frames of this package that led there are left out, but for an error
    that is raised in this package itself: that one is shown whole, and so are those of an exception group.
    """
    told = TracebackException.from_exception(error)
    pending: list[TracebackException | None] = [told]
    while pending:
        each = pending.pop()
        if each is not None:
            _shorten(each)
            pending += [each.__cause__, each.__context__]
    return "".join(told.format()).rstrip()


def is_users(frame: FrameSummary) -> bool:
    """Whether a frame is of the user's own code, or of an example."""
    return _kind(frame) == "user"


def _shorten(told: TracebackException) -> None:
    kinds = [_kind(frame) for frame in told.stack]
    if "user" in kinds:
        del told.stack[: kinds.index("user")]
    elif told.exc_type is SyntaxError or (kinds and kinds[-1] == "library"):
        leading = next((n for n, kind in enumerate(kinds) if kind not in ("ours", "import")), len(kinds))
        del told.stack[:leading]


def _kind(frame: FrameSummary) -> str:
    """user, ours, import (Python's own import system) or library."""
    path = Path(frame.filename)
    if frame.filename.startswith("<frozen importlib") or path.parent == _STANDARD / "importlib":
        return "import"
    if path.is_relative_to(_OURS) and not path.is_relative_to(_EXAMPLES):
        return "ours"
    if frame.filename.startswith("<") or path.is_relative_to(_STANDARD) or set(path.parts) & set(_INSTALLED):
        return "library"
    return "user"
