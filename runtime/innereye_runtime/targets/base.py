"""The seam between the command line and a compute target: one `Target` for each, one `RunHandle` for each run of it.

`plan` is pure, `submit` has the effects. A target of another distribution registers itself by the entry point group
`innereye_runtime.targets`, under the name that a manifest writes as `compute.target`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:  # who asks for a run that was submitted once resolves no job
    from innereye_runtime.job.resolve import Job
    from innereye_runtime.manifest.model import Manifest
    from innereye_runtime.targets.preflight.result import CheckResult

P = TypeVar("P", bound="Plan")

Write = Callable[[int, bytes], None]
"""Takes output of a run: 1 for standard output, 2 for standard error, and the bytes."""


class Plan(Protocol):
    """Everything that a target is going to ask for, as a frozen value that compares equal to another such request."""

    def describe(self) -> dict[str, Any]:
        """The request as plain data, for `innereye-run plan`. It contains no secret's value."""


@runtime_checkable
class WrittenPlan(Protocol):
    """A plan that has a text of its own: a file that another tool takes."""

    def job_file(self) -> str:
        """The file's text."""


class Handle(Protocol):
    """A job that this process submitted."""

    @property
    def run(self) -> str:
        """The absolute path of the run folder, or the reference of a job elsewhere."""

    def wait(self) -> int:
        """The exit code of the job, when it has ended. Blocks, and lets the job print.

        The first SIGINT or SIGTERM is passed on to the job, which saves what it has; a second one kills it.
        """


@runtime_checkable
class FollowableHandle(Handle, Protocol):
    """A handle of a job elsewhere that another process can have in place of this one."""

    def as_text(self) -> str:
        """What `reattach` of its target takes there."""


@runtime_checkable
class ReattachingTarget(Protocol):
    """A target whose handles are followable."""

    def reattach(self, text: str, *, stdout: int) -> Handle:
        """The handle that gave `text`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run as `innereye-run ps` lists it."""

    run: str
    """Its name."""
    target: str
    state: str
    """In the target's own words."""
    reference: str
    """What `status`, `logs`, `stop` and `download` take."""
    since: str = ""
    place: str = ""
    """Where it runs: an image, a process, a job."""
    note: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the target knows beyond that, as plain data."""

    def describe(self) -> dict[str, Any]:
        common = {"run": self.run, "target": self.target, "state": self.state, "reference": self.reference}
        return {**common, **self.details}


@dataclass(frozen=True, slots=True, kw_only=True)
class StopResult:
    """What became of a run that was asked to end, or of something that `clean` removed."""

    run: str
    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        return {"run": self.run, **self.details}


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    folder: Path
    files: int
    exit_code: int | None
    """None: the job is not over yet."""


@runtime_checkable
class DetachingTarget(Protocol):
    """A target whose jobs need nobody who follows them: it has `detach` beside what each `Target` has."""

    def detach(self, plan: Any) -> str:
        """The reference of the job, which is submitted like one to be followed and is queued by now.

        Raises:
            InnerEyeError: it could not be submitted.
        """


@runtime_checkable
class SweepingTarget(Protocol):
    """A target that runs the trials of a sweep itself: its `plan` takes a manifest with `sweep` or `cross_validation`,
    and what it submits is one job. On other targets, each trial is a job of its own, started from here.
    """

    has_sweeps: bool


@runtime_checkable
class CopyingTarget(Protocol):
    """A target whose jobs copy their run folder to a remote `outputs.folder` themselves. For others, whoever waits for
    a job does it.
    """

    copies_outputs: bool


class TrialJob(Protocol):
    """A trial of a sweep that is queued or running."""

    @property
    def identity(self) -> str:
        """What sweep.json keeps of it, and a later process finds it by."""

    @property
    def is_adopted(self) -> bool:
        """Whether an earlier process of the sweep started it."""

    @property
    def asked_to_stop(self) -> bool: ...

    @property
    def is_running(self) -> bool:
        """False as long as it waits in a queue."""

    def exit_code(self) -> int | None:
        """None as long as it is queued or running, also where it is started again by itself."""

    def send(self, signum: int) -> None:
        """The first signal asks the trial to save a checkpoint and end; a second one kills it."""


class TrialQueue(Protocol):
    """The runs of one sweep as jobs of a cluster."""

    def limit(self, manifest: Manifest) -> int | None:
        """Most of them that run at a time; None: as many as there is room for."""

    def submit(
        self, job: Job, names: Sequence[str], *, limit: int | None, environment: Mapping[str, str]
    ) -> Sequence[TrialJob]:
        """Queues the trials, each of which has its manifest in `trials/NAME`, together.

        Raises:
            InnerEyeError: they are refused.
        """

    def submit_run(self, job: Job, folder: Path, *, environment: Mapping[str, str]) -> TrialJob:
        """Queues one run of the sweep that is not a trial, and has its manifest in its run folder.

        Raises:
            InnerEyeError: it is refused.
        """

    def adopt(self, name: str, identity: str | None) -> TrialJob | None:
        """The trial or other run that an earlier process of the sweep queued; None where it did not."""

    def send(self, signum: int) -> None:
        """As `TrialJob.send`, to all that were submitted or adopted."""

    def stop(self) -> bool:
        """Whether there was something to stop: all jobs of the sweep, whoever submitted them, have ended now."""

    def is_active(self) -> bool:
        """Whether a job of the sweep is queued or running, whoever submitted it."""


@runtime_checkable
class QueueingTarget(Protocol):
    """A target that takes the trials of a sweep into a queue of its own, all at once where they are known. The sweep's
    process judges them and writes their results, but they run without it.
    """

    def queue(self, folder: Path) -> TrialQueue:
        """The queue for the sweep in `folder`."""


class RunHandle(Protocol):
    """A run that was submitted some time, by this process or another one."""

    has_two_streams: bool
    """Whether `logs` keeps standard output apart from standard error."""

    def status(self) -> Mapping[str, Any]:
        """Its state as plain data, in the order to be shown.

        Raises:
            PreflightError: there is no such job, or its service does not answer.
        """

    def logs(self, write: Write, *, follow: bool) -> None:
        """Passes what the run printed to `write`: so far, or with `follow` until its end.

        Raises:
            PreflightError: there is no such job, or its service does not answer.
        """

    def stop(self) -> Sequence[StopResult]:
        """Asks the run to save a checkpoint and end, and waits for it; a run that is over stays as it is."""

    def wait(self) -> int:
        """The exit code of the run, when it is over. Blocks; a signal ends the waiting and not the run."""

    def download(self, outputs: Path) -> DownloadResult:
        """The run folder, in the folder `outputs` on this machine, verified.

        Raises:
            OutputError: there is nothing to download, or it arrived damaged.
            UsageError: the run folder is on this machine already.
        """


class Target(Protocol[P]):
    """A place where jobs run. A built-in target's module has one under the name `TARGET`."""

    is_local: bool
    """Its runs are on this machine, so that `ps` and `clean` ask it without being told to."""

    def plan(self, job: Job) -> P:
        """The whole request for `job`. No network, no engine, no file written."""

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        """The result of each check of what a job needs here, by name.

        Without a manifest, of a small job on the CPU; `job` is None too where the class of the manifest is not found.
        """

    def submit(self, plan: P, *, stdout: int) -> Handle:
        """Checks what can be checked, then starts the job. `stdout` is the descriptor that its standard output goes to.

        Raises:
            PreflightError: something that the job needs is not there (engine, GPU, disk, a secret).
            ImageError: the image is missing.
            DataError: a dataset is missing.
        """

    def attach(self, reference: str) -> RunHandle | None:
        """The run that `reference` names: a run folder, a run's name, or an id or URI of this target's own. None where
        it is not one of this target's.
        """

    def list(self) -> Sequence[RunStatus]:
        """Its runs, the newest first.

        Raises:
            PreflightError: its engine or service does not answer.
        """

    def clean(self) -> Sequence[StopResult]:
        """Stops and removes what launchers that were killed left behind."""

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        """Settings that the manifest leaves to the environment, for `explain`: key, value and origin of each."""
