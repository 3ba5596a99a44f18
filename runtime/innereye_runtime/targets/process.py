"""The process target: the entrypoint as a child of this process, in the same interpreter, with no engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.data.datasets import preflight
from innereye_runtime.data.mount.mountpoints import check_mountpoints
from innereye_runtime.errors import ExitCode, PreflightError
from innereye_runtime.job.datasets import datasets_of, mountpoints_of
from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.packages import check_installed, described
from innereye_runtime.job.process_count import processes_of
from innereye_runtime.job.ranks import VARIABLES
from innereye_runtime.job.resolve import Job
from innereye_runtime.job.starting import write_start
from innereye_runtime.manifest.model import Dataset, Manifest
from innereye_runtime.run.folder_lock import LAUNCHER, announce, withdraw
from innereye_runtime.run.paths import RunPaths, create_run_folder
from innereye_runtime.run.process_id import current_process
from innereye_runtime.run.record import count_attempts, record_early_exit, record_exit, recorded_exit_code
from innereye_runtime.targets.base import RunStatus, StopResult
from innereye_runtime.targets.forked import ForkedChild
from innereye_runtime.targets.preflight.result import CheckResult
from innereye_runtime.targets.process_runs import ENTRYPOINT, ProcessRun, run_processes, stop
from innereye_runtime.targets.supervision import (
    RetryBudget,
    report,
    report_retry,
    secret_values,
    supervise,
    timeout_reason,
)

if TYPE_CHECKING:
    from innereye_runtime.packages.requirement import Requirements

_ENTRYPOINT = ("-P", "-m", ENTRYPOINT)
"""-P: without it the working directory is searched first, and a random.py of the user's would be PyTorch's `random`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One child process; a new run's folder gets its name when it starts."""

    executable: str
    request: EntrypointArgs
    text: str | None
    """The manifest's text, where it is not a file: it is written into the run folder."""
    model_name: str
    outputs_folder: Path
    environment: Mapping[str, str]
    """What is added to this process's own environment."""
    manifest: Manifest
    datasets: tuple[Dataset, ...]
    mountpoints: tuple[Path | None, ...]
    """Where each dataset is to be found too; None: nowhere."""
    processes: int | None
    """Of each node, which the child starts; None: one for each GPU that it finds."""
    modules: tuple[Path, ...] = ()
    """The folders that the user's modules are imported from."""
    requirements: Requirements | None = None
    """What the manifest's `packages` ask for, which has to be installed already."""

    def describe(self) -> dict[str, Any]:
        folder = str(self.request.run_folder or f"{self.outputs_folder}/<UTC start>_{self.model_name}")
        return {
            "target": "process",
            "command": [self.executable, *_ENTRYPOINT, *self.request.argv()],
            "modules": [str(folder) for folder in self.modules],
            "run_folder": folder,
            **self.manifest.outputs.described(folder),
            "environment": dict(self.environment),
            "secrets": list(self.manifest.secrets),
            "datasets": [str(dataset.local or dataset.id) for dataset in self.datasets],
            "mount_points": [str(point) for point in self.mountpoints if point],
            "gpus": self.manifest.compute.gpus,
            "nodes": self.manifest.compute.nodes,
            "processes": self.processes or "all GPUs",
            "max_duration": str(self.manifest.compute.max_duration or "") or None,
            **described(self.requirements),
        }


class ProcessHandle:
    """A child process, and its successors where the manifest allows retries.

    It starts in `wait`, once signals are heard: one that ended this process in between would leave the child behind.
    """

    def __init__(self, plan: ProcessPlan, paths: RunPaths, *, stdout: int, warm: bool = False) -> None:
        self._plan = plan
        self._paths = paths
        self._stdout = stdout
        self._child: subprocess.Popen[bytes] | ForkedChild | None = None
        if warm:
            self._child = self._start(warm=True)

    @property
    def run(self) -> str:
        return str(self._paths.root)

    def wait(self) -> int:
        try:
            return self._wait()
        finally:
            withdraw(self._paths)

    def _wait(self) -> int:
        compute = self._plan.manifest.compute
        budget = RetryBudget(compute.retries)
        limit = None if self._plan.request.debug else compute.max_duration
        with supervise(self._signal, self._kill, max_duration=limit) as request:
            while True:
                if self._child is None:
                    self._child = self._start()
                if request.signum is not None:  # it came while there was no child to pass it on to
                    self._signal(request.signum)
                returned = self._ended(self._child)
                exit_code = returned if returned >= 0 else 128 - returned
                if returned < 0:
                    told = recorded_exit_code(self._paths, earlier=self._attempts)
                    if told:  # by another rank than the one that was killed
                        exit_code = told
                    else:
                        self._close_record(exit_code, -returned, stop_requested=request.made)
                else:
                    record_early_exit(self._paths, exit_code)
                if request.timed_out and exit_code != ExitCode.DONE:
                    record_exit(self._paths, exit_code, timeout_reason(compute.max_duration), earlier=self._attempts)
                if request.made or not budget.take(exit_code):
                    return exit_code
                report_retry(self._paths)
                self._child = None

    def _start(self, *, warm: bool = False) -> subprocess.Popen[bytes] | ForkedChild:
        request = replace(self._plan.request, run_folder=self._paths.root)
        self._attempts = count_attempts(self._paths)
        environment = {**_own_environment(), **self._plan.environment, LAUNCHER: current_process()}
        if warm:  # a retry is not: the clocks of `supervise` are threads
            return ForkedChild(request.argv(), environment, stdout=self._stdout)
        return subprocess.Popen(
            [self._plan.executable, *_ENTRYPOINT, *request.argv()],
            env=environment,
            stdin=None if self._plan.request.debug else subprocess.DEVNULL,
            stdout=self._stdout,
            # A group of its own: Ctrl-C reaches this process alone, which passes it on once.
            process_group=None if self._plan.request.debug else 0,
        )

    def _ended(self, child: subprocess.Popen[bytes] | ForkedChild) -> int:
        """What the child returned, once its own children (loader workers, further ranks) have ended too."""
        # The child is not reaped before its group is killed: its number can't have become that of another group.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self._kill()
        return child.wait()

    def _signal(self, signum: int) -> None:
        if self._child is not None:
            self._child.send_signal(signum)

    def _kill(self) -> None:
        if self._child is None:
            return
        try:
            os.killpg(self._child.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _close_record(self, exit_code: int, signum: int, *, stop_requested: bool) -> None:
        """Writes into run.json what a child that was killed could not."""
        name = signal.Signals(signum).name
        if stop_requested and signum != signal.SIGKILL:  # before it listens to signals, or after
            reason = f"stopped ({name})"
        elif stop_requested:
            reason = f"did not stop within the grace period and was killed ({name})"
        elif signum == signal.SIGKILL:
            reason = f"killed ({name}): most likely out of memory; use a smaller batch or fewer workers"
        else:
            reason = f"crashed ({name})"
        report(f"error: {reason}")
        record_exit(self._paths, exit_code, reason, earlier=self._attempts)


def _own_environment() -> dict[str, str]:
    """This process's environment for a job of its own, which is the first process whatever launcher is around it."""
    return {name: value for name, value in os.environ.items() if name not in VARIABLES}


class ProcessTarget:
    is_local = True

    def __init__(self, *, warm: bool = False) -> None:
        """`warm`: this process has imported what training needs, and a job's first child is a fork of it."""
        self._warm = warm

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        from innereye_runtime.targets.preflight import checks_of

        return checks_of("process", manifest, outputs, datasets_of(job) if job else (), job)

    def attach(self, reference: str) -> ProcessRun | None:
        paths = RunPaths(Path(reference).absolute())
        if paths.run_json.is_file():
            return ProcessRun(paths)
        named = (one.folder for one in run_processes() if reference in (one.folder.name, str(one.pid)))
        return next((ProcessRun(RunPaths(folder)) for folder in named), None)

    def list(self) -> Sequence[RunStatus]:
        return [one.status() for one in run_processes()]

    def clean(self) -> Sequence[StopResult]:
        return [stop(one) for one in run_processes() if one.orphan]

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        return ()

    def plan(self, job: Job) -> ProcessPlan:
        manifest = job.manifest
        return ProcessPlan(
            executable=sys.executable,
            request=EntrypointArgs(
                manifest=manifest.path or Path("manifest.yaml"),
                overrides=job.overrides,
                target="process",
                smoke=job.smoke,
                debug=job.debug,
                run_folder=job.run_folder,
                code_root=job.code_root,
            ),
            text=job.text,
            model_name=job.model_name,
            outputs_folder=job.outputs_folder,
            environment=dict(manifest.environment),
            manifest=manifest,
            datasets=datasets_of(job),
            mountpoints=mountpoints_of(job),
            processes=processes_of(job),
            modules=job.search_path,
            requirements=job.requirements,
        )

    def submit(self, plan: ProcessPlan, *, stdout: int) -> ProcessHandle:
        _check_packages()
        check_installed(plan.requirements)
        secret_values(plan.manifest.secrets, os.environ)
        check_mountpoints(plan.mountpoints, preflight(plan.datasets))
        folder = plan.request.run_folder
        paths = (
            RunPaths(folder) if folder else create_run_folder(plan.outputs_folder, plan.model_name, datetime.now(UTC))
        )
        announce(paths)
        write_start(paths, plan.manifest, plan.request, model=plan.model_name)
        if plan.text is not None:
            plan = replace(plan, request=replace(plan.request, manifest=paths.manifest))
        return ProcessHandle(plan, paths, stdout=stdout, warm=self._warm)


def _check_packages() -> None:
    """Looks for what training imports, without importing it: the command line is installed without."""
    missing = [name for name in ("torch", "pytorch_lightning") if find_spec(name) is None]
    if missing:
        raise PreflightError(
            f"training in this interpreter needs {' and '.join(missing)}, and {sys.prefix} has not",
            hint="pip install 'innereye-runtime[train]', or use --target docker",
        )


TARGET = ProcessTarget()
