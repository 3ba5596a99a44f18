"""Data loader workers hand over their batches through shared memory, and there is enough of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped, warning

NAME = "shared memory"
PLACE = Path("/dev/shm")


def check(subject: CheckContext) -> CheckResult:
    asked = subject.manifest.compute.shm_size if subject.manifest else None
    if subject.target == "docker":
        limit = subject.manifest.compute.docker.memory if subject.manifest else None
        if asked is None:
            return ok("half of the container's memory")
        if limit is not None and asked > limit:
            return failed(
                PreflightError(
                    f"compute.shm_size ({asked}) is more than compute.docker.memory ({limit}), and counts towards it",
                    hint="raise compute.docker.memory, or lower compute.shm_size",
                )
            )
        return ok(f"{asked}, as the manifest says")
    if not os.access(PLACE, os.W_OK):
        return skipped(f"this machine has no {PLACE}")
    free = shutil.disk_usage(PLACE).free
    if asked is not None and free < asked.bytes:
        return warning(
            f"{PLACE} has {Memory(free >> 20 << 20)} free, and the manifest requests {asked}",
            "free some, or use fewer data loader workers",
        )
    return ok(f"{free / (1 << 30):.1f} GiB free in {PLACE}")
