"""Every error that innereye-runtime raises on purpose, and the exit code that each one ends with.

    InnerEyeError                 1
    ├── UsageError                2   the command line
    │   └── ManifestError         2   the manifest or the container's arguments; carries the diagnostics
    ├── PreflightError            3   engine, GPU, disk, credentials
    ├── ImageError                4   a container image is missing or does not build
    ├── DataError                 5   a dataset is missing, unreadable or not the one that was named
    └── OutputError               6   outputs are missing, empty or not verified

An error has a message (what is wrong, with the place) and a hint (what to do about it).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final

from innereye_runtime.redaction import redacted

if TYPE_CHECKING:
    from innereye_runtime.diagnostics.diagnostic import Diagnostic


class ExitCode(IntEnum):
    """Those of `innereye-run` and `innereye-runtime`; the user's own code is passed through where it exits with one."""

    DONE = 0
    USER_CODE = 1
    USAGE = 2
    PREFLIGHT = 3
    IMAGE = 4
    DATA = 5
    OUTPUTS = 6
    INTERRUPTED = 130
    STOPPED = 143


class InnerEyeError(Exception):
    """Base of all errors raised on purpose. `str()` gives the message; the hint is shown on a line of its own.

    Both are without credentials.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.USER_CODE

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(redacted(message))
        self.hint = redacted(hint)


class UsageError(InnerEyeError):
    exit_code = ExitCode.USAGE


class ManifestError(UsageError):
    """Problems in a manifest, in the container's arguments or in overrides; all of them, in source order."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        errors = [d for d in diagnostics if d.severity == "error"]
        super().__init__(f"{len(errors)} error{'s' if len(errors) != 1 else ''} in the manifest")
        self.diagnostics = tuple(diagnostics)


class PreflightError(InnerEyeError):
    exit_code = ExitCode.PREFLIGHT


class ImageError(InnerEyeError):
    exit_code = ExitCode.IMAGE


class DataError(InnerEyeError):
    exit_code = ExitCode.DATA


class OutputError(InnerEyeError):
    exit_code = ExitCode.OUTPUTS


_FILE_SYSTEM: Final = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG),
)


def file_system_error(error: OSError) -> PreflightError | None:
    """What to report of a file or folder that was deleted, can't be written or has no room; None for another error,
    which is a defect and has a traceback.
    """
    if error.errno not in _FILE_SYSTEM or error.filename is None:
        return None
    name = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else str(error.filename)
    place = name.encode("unicode_escape").decode() if not name.isprintable() else name
    return PreflightError(
        f"{place} can't be read or written: {error.strerror}",
        hint="look whether it is still there, its owner and permissions, and the room on its disk",
    )
