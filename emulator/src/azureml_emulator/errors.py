"""Every error that the emulator raises on purpose, and the exit code of each.

EmulatorError           1
├── UsageError          2   the command line
├── PreflightError      3   Azurite or Docker is missing or does not start
├── StartError          *   an emulator in the background does not start; the exit code is that of its process
└── JobError            1   a job cannot be started; it ends as Failed, with this message
"""

from __future__ import annotations


class EmulatorError(Exception):
    """Base of all errors raised on purpose. `str()` is the message; `hint` is the remedy."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(EmulatorError):
    exit_code = 2


class PreflightError(EmulatorError):
    exit_code = 3


class StartError(EmulatorError):
    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class JobError(EmulatorError):
    pass
