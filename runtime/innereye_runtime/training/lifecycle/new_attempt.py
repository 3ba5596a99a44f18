"""An attempt that can't continue as it began, where the next one can: the same process starts it by itself."""

from __future__ import annotations

from innereye_runtime.errors import InnerEyeError


class NewAttemptError(InnerEyeError):
    """Ends this attempt, and not the run: its message is the reason, and what the next attempt does in its place."""
