"""There is room for the run folder."""

from __future__ import annotations

import shutil

from innereye_runtime.errors import PreflightError
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, warning

NAME = "disk"
NEEDED = 64 << 20
"""Below this not even a small run has room for its checkpoints and logs."""
COMFORTABLE = 2 << 30


def check(subject: CheckContext) -> CheckResult:
    place = next(path for path in (subject.outputs, *subject.outputs.parents) if path.exists())
    free = shutil.disk_usage(place).free
    shown = f"{free / (1 << 30):.1f} GiB free for runs in {subject.outputs}"
    if free < NEEDED:
        return failed(
            PreflightError(
                f"disk full: {free >> 20} MiB are free in {subject.outputs}, and a small run needs {NEEDED >> 20}",
                hint="remove old runs there, or set outputs.folder to a larger disk",
            )
        )
    if free < COMFORTABLE:
        return warning(shown, "a large model's checkpoints may not fit: remove old runs, or set outputs.folder")
    return ok(shown)
