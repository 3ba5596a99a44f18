"""The GPUs that the manifest asks for are there. A job that asks for one never runs on the CPU instead."""

from __future__ import annotations

import shutil

from innereye_runtime.errors import PreflightError
from innereye_runtime.job.gpus import visible_gpus
from innereye_runtime.manifest.model import Gpus
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped

NAME = "gpu"


def check(subject: CheckContext) -> CheckResult:
    wanted: Gpus = subject.manifest.compute.gpus if subject.manifest else "none"
    there = visible_gpus()
    if wanted == "none":
        return ok(f"no GPU is requested; this machine has {there}")
    if subject.target == "docker":
        try:
            local = subject.client.address.is_local
            runtimes = subject.info.get("Runtimes") or {}
        except PreflightError:
            return skipped("needs the engine")
        if not local:
            return skipped("the engine runs on another machine, where GPUs are checked when the job starts")
        if "nvidia" not in runtimes and shutil.which("nvidia-container-runtime-hook") is None:
            return failed(
                PreflightError(
                    f"the manifest requests GPUs ({_shown(wanted)}), and this Docker engine has no NVIDIA runtime",
                    hint="install the NVIDIA Container Toolkit, or set compute.gpus to none",
                )
            )
    if there < _needed(wanted):
        return failed(
            PreflightError(
                f"the manifest requests GPUs ({_shown(wanted)}), and this machine has {there or 'none'}",
                hint="run where they are, or set compute.gpus to none: a job never falls back to the CPU by itself",
            )
        )
    return ok(f"{there} GPU{'s' if there != 1 else ''} on this machine, requested: {_shown(wanted)}")


def _needed(wanted: Gpus) -> int:
    match wanted:
        case "none":
            return 0
        case "all":
            return 1
        case int():
            return wanted
        case _:
            return max(wanted) + 1


def _shown(wanted: Gpus) -> str:
    return ", ".join(map(str, wanted)) if isinstance(wanted, tuple) else str(wanted)
