"""The seam between the command line and a compute target: `Target.plan` is pure, `Target.submit` has the effects."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, TypeVar, runtime_checkable

from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import TargetName

P = TypeVar("P", bound="Plan")


class Plan(Protocol):
    """Everything that a target is going to ask for, as a frozen value that compares equal to another such request."""

    def describe(self) -> dict[str, Any]:
        """The request as plain data, for `innereye-run plan`. No secret's value is in it."""


@runtime_checkable
class WrittenPlan(Protocol):
    """A plan that has a text of its own: a file that another tool takes."""

    def job_file(self) -> str:
        """The file's text."""


class Handle(Protocol):
    """A job that was started."""

    @property
    def run(self) -> str:
        """The absolute path of the run folder, or the address of a job elsewhere."""

    def wait(self) -> int:
        """The exit code of the job, when it has ended. Blocks, and lets the job print.

        The first SIGINT or SIGTERM is passed on to the job, which saves what it has; a second one kills it.
        """


class Target(Protocol[P]):
    """A place where jobs run. A target's module has one, under the name `TARGET`."""

    def plan(self, job: Job) -> P:
        """The whole request for `job`. No network, no engine, no file written."""

    def submit(self, plan: P, *, stdout: int) -> Handle:
        """Checks what can be checked, then starts the job. `stdout` is the descriptor that its standard output goes to.

        Raises:
            PreflightError: something that the job needs is not there (engine, GPU, disk, a secret).
            ImageError: the image is missing.
            DataError: a dataset is missing.
        """


_MODULES: dict[TargetName, str] = {
    "process": "innereye_runtime.targets.process",
    "docker": "innereye_runtime.targets.docker",
    "azureml": "innereye_runtime.targets.azureml",
}


def get_target(name: TargetName) -> Target[Any]:
    """The target of that name; its module is imported here and not before."""
    target: Target[Any] = import_module(_MODULES[name]).TARGET
    return target
