"""The AzureML target: a job in a workspace, followed from here, its run folder brought home."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.errors import InnerEyeError
from innereye_runtime.targets.base import RunHandle, RunStatus, StopResult

if TYPE_CHECKING:  # a command that only asks for a job needs nothing of these
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.model import Manifest
    from innereye_runtime.targets.azureml.following import AzureMLHandle
    from innereye_runtime.targets.azureml.plan import AzureMLPlan
    from innereye_runtime.targets.preflight.result import CheckResult


class AzureMLTarget:
    is_local = False
    has_sweeps = True

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        from innereye_runtime.job.datasets import datasets_of
        from innereye_runtime.targets.azureml.doctor import check_workspace
        from innereye_runtime.targets.azureml.plan import plan_for
        from innereye_runtime.targets.preflight import checks_of
        from innereye_runtime.targets.preflight.result import failed, skipped

        yield from checks_of("azureml", manifest, outputs, datasets_of(job) if job else (), job)
        if job is None:
            yield "workspace", skipped("needs a manifest that is valid")
            return
        try:
            plan = plan_for(job)
        except InnerEyeError as error:
            yield "job", failed(error)
            return
        yield from check_workspace(plan)

    def attach(self, reference: str) -> RunHandle | None:
        from innereye_runtime.targets.azureml import run_handle

        return run_handle.attach(reference)

    def list(self) -> Sequence[RunStatus]:
        from innereye_runtime.targets.azureml import run_handle

        return run_handle.list_runs()

    def clean(self) -> Sequence[StopResult]:
        return ()

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        """The settings of the workspace that the manifest leaves to the environment or to a config.json."""
        from innereye_runtime.targets.azureml.settings import KEYS, find_workspace

        found = find_workspace(job.manifest.compute.azureml, os.environ, job.code_root)
        for key in KEYS:
            setting = getattr(found, key)
            if setting is None or setting.origin != "manifest":
                value, origin = (setting.value, setting.origin) if setting else (None, "set nowhere")
                yield f"compute.azureml.{key}", value, origin

    def plan(self, job: Job) -> AzureMLPlan:
        from innereye_runtime.targets.azureml.plan import plan_for

        return plan_for(job)

    def submit(self, plan: AzureMLPlan, *, stdout: int) -> AzureMLHandle:
        """Checks what can be checked here, sends the code, and submits the job; exactly once, or not at all."""
        from innereye_runtime.targets.azureml.following import AzureMLHandle, hold_signals
        from innereye_runtime.targets.azureml.log_stream import log_status
        from innereye_runtime.targets.azureml.starting import start_run

        handle = AzureMLHandle(start_run(plan), stdout=stdout)
        hold_signals()
        log_status(f"submitted {handle.run}")
        return handle

    def reattach(self, text: str, *, stdout: int) -> AzureMLHandle:
        """The handle that another process had, and gave as `text`."""
        from innereye_runtime.targets.azureml.following import handle_of

        return handle_of(text, stdout=stdout)

    def detach(self, plan: AzureMLPlan) -> str:
        """The address of the job, as soon as it is queued."""
        return self.submit(plan, stdout=2).detach()


TARGET = AzureMLTarget()
