"""What stands in the way of a job, found before it starts. A check is one file with NAME and check(subject)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import Dataset, Manifest
from innereye_runtime.targets.preflight import (
    credentials,
    dataset,
    disk,
    engine,
    gpu,
    image,
    packages,
    remote_output,
    shared_memory,
)
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult

OF_DOCKER: tuple[ModuleType, ...] = (engine, image)
OF_THIS_MACHINE: tuple[ModuleType, ...] = (gpu, disk, shared_memory, dataset)


def run_checks(subject: CheckContext) -> Iterator[tuple[str, CheckResult]]:
    """Every check that means something for the subject's target, by its name, in the order of a job's needs."""
    engine_checks = OF_DOCKER if subject.target == "docker" else ()
    machine_checks = OF_THIS_MACHINE if subject.target != "azureml" else ()
    is_copied = subject.manifest is not None and subject.manifest.outputs.remote
    remote_checks = (remote_output,) if is_copied else ()
    for check in (*engine_checks, packages, *machine_checks, *remote_checks, credentials):
        yield check.NAME, check.check(subject)


def checks_of(
    target: str, manifest: Manifest | None, outputs: Path, datasets: tuple[Dataset, ...], job: Job | None = None
) -> Iterator[tuple[str, CheckResult]]:
    """Every check that means something for a target of this distribution."""
    from innereye_runtime.targets.docker.request import image_for

    return run_checks(
        CheckContext(
            target=target,
            manifest=manifest,
            image_reference=image_for(manifest),
            datasets=datasets or (manifest.datasets if manifest else ()),
            outputs=outputs,
            requirements=job.requirements if job else None,
        )
    )


def raise_on_failed_checks(subject: CheckContext) -> None:
    """Does nothing where a job may start. The launcher of a job calls it, so that nobody has to think of `doctor`.

    Raises:
        InnerEyeError: the first check that failed, as the error that the job would end with.
    """
    for _, finding in run_checks(subject):
        if finding.error is not None:
            raise finding.error
