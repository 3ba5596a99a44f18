"""Every dataset of the job is there and can be read."""

from __future__ import annotations

from innereye_runtime.errors import InnerEyeError
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok

NAME = "dataset"


def check(subject: CheckContext) -> CheckResult:
    datasets = subject.datasets
    if not datasets:
        return ok("no dataset is named")
    from innereye_runtime.data.datasets import preflight

    try:
        preflight(datasets)
    except InnerEyeError as error:
        return failed(error)
    return ok(", ".join(str(dataset.local or dataset.id) for dataset in datasets))
