"""The GPUs that the manifest asks for are there. A job that asks for one never runs on the CPU instead."""

from __future__ import annotations

import shutil

from innereye_runtime.errors import PreflightError
from innereye_runtime.manifest.model import Gpus
from innereye_runtime.targets.gpus import visible_gpus
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped

NAME = "gpu"


def check(subject: CheckContext) -> CheckResult:
    wanted: Gpus = subject.manifest.compute.gpus if subject.manifest else "none"
    there = visible_gpus()
    if wanted == "none":
        return ok(f"no GPU is asked for; this machine has {there}")
    if subject.target == "docker":
        try:
            local = subject.client.address.is_local
            runtimes = subject.info.get("Runtimes") or {}
        except PreflightError:
            return skipped("needs the engine")
        if not local:
            return skipped("the engine runs on another machine: it will say whether it has GPUs")
        if "nvidia" not in runtimes and shutil.which("nvidia-container-runtime-hook") is None:
            return failed(
                PreflightError(
                    f"the manifest asks for GPUs ({_shown(wanted)}), and this Docker engine has none to give: "
                    "it lacks NVIDIA's runtime",
                    hint="install the NVIDIA Container Toolkit, or set compute.gpus to none",
                )
            )
    if there < _needed(wanted):
        return failed(
            PreflightError(
                f"the manifest asks for GPUs ({_shown(wanted)}), and this machine has {there or 'none'}",
                hint="run where they are, or set compute.gpus to none: a job never falls back to the CPU by itself",
            )
        )
    return ok(f"{there} GPU{'s' if there != 1 else ''} here, asked for: {_shown(wanted)}")


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
