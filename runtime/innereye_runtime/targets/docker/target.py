"""The Docker target: the entrypoint in a container of its own, with the caller's user and paths, on a local engine."""

from __future__ import annotations

import os
import platform
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from innereye_runtime.errors import ExitCode, InnerEyeError
from innereye_runtime.job import provenance
from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.job.resolve import Job
from innereye_runtime.job.starting import write_start
from innereye_runtime.manifest.model import Manifest
from innereye_runtime.run.folder_lock import announce, withdraw
from innereye_runtime.run.paths import RunPaths, create_run_folder
from innereye_runtime.run.process_id import current_process
from innereye_runtime.run.record import count_attempts, record_exit, recorded_exit_code
from innereye_runtime.targets.base import RunHandle, RunStatus, StopResult
from innereye_runtime.targets.docker import run_handle
from innereye_runtime.targets.docker.client import EngineClient
from innereye_runtime.targets.docker.container import Container
from innereye_runtime.targets.docker.engine import digest_of, map_engine_errors
from innereye_runtime.targets.docker.exit_status import ExitStatus, exit_status_of, finalize_run_record
from innereye_runtime.targets.docker.launch_context_file import launch_context_file
from innereye_runtime.targets.docker.nodes import Nodes, created_nodes
from innereye_runtime.targets.docker.packages_image import ensure_image
from innereye_runtime.targets.docker.proxies import proxies_of_containers
from innereye_runtime.targets.docker.request import DockerPlan, HostUser, container_name, datasets_to_bring, plan_for
from innereye_runtime.targets.docker.runs import ensure_not_running
from innereye_runtime.targets.preflight import checks_of, raise_on_failed_checks
from innereye_runtime.targets.preflight.context import CheckContext
from innereye_runtime.targets.preflight.result import CheckResult
from innereye_runtime.targets.supervision import (
    RetryBudget,
    StopRequest,
    report_retry,
    secret_values,
    supervise,
    timeout_reason,
    write_all,
)

if TYPE_CHECKING:
    from innereye_runtime.data.staging import StagedDataset


class DockerTarget:
    is_local = True

    def preflight(self, manifest: Manifest | None, outputs: Path, job: Job | None) -> Iterable[tuple[str, CheckResult]]:
        return checks_of("docker", manifest, outputs, datasets_to_bring(job) if job else (), job)

    def attach(self, reference: str) -> RunHandle | None:
        return run_handle.attach(reference)

    def list(self) -> Sequence[RunStatus]:
        return run_handle.list_runs()

    def clean(self) -> Sequence[StopResult]:
        return run_handle.clean()

    def settings(self, job: Job) -> Iterable[tuple[str, str | None, str]]:
        return ()

    def plan(self, job: Job) -> DockerPlan:
        return plan_for(job, HostUser.current())

    def submit(self, plan: DockerPlan, *, stdout: int) -> DockerHandle:
        """Checks what can be checked, brings the datasets, makes the run folder. The container starts in `wait`:
        signals reach it there.
        """
        with ExitStack() as held:
            return self._submit(plan, held, stdout=stdout)

    def _submit(self, plan: DockerPlan, held: ExitStack, *, stdout: int) -> DockerHandle:
        secrets = secret_values(plan.manifest.secrets, os.environ)
        # git and the engine are other processes: asked at once, they answer in the time of the slower one.
        code: list[provenance.Code] = []
        root = plan.handover.code_root or plan.outputs_folder
        asked = threading.Thread(target=lambda: code.append(provenance.code(root)))
        asked.start()
        subject = CheckContext(
            target="docker",
            manifest=plan.manifest,
            image_reference=plan.packages.base if plan.packages else plan.request.image,
            outputs=plan.outputs_folder,
            datasets=plan.datasets,
        )
        raise_on_failed_checks(subject)
        image = subject.image
        if plan.packages is not None:
            image = ensure_image(subject.client, plan.packages, output=2)
        if plan.handover.run_folder is not None:
            ensure_not_running(subject.client, plan.handover.run_folder)
        staged: tuple[StagedDataset, ...] = ()
        if plan.datasets:  # what brings them takes a while to import, and is not needed without
            from innereye_runtime.data.datasets import stage_datasets
            from innereye_runtime.targets.docker.datasets import with_datasets

            staged = held.enter_context(stage_datasets(plan.datasets))
            plan = with_datasets(plan, staged)
        folder = plan.handover.run_folder
        if folder is None:
            folder = create_run_folder(plan.outputs_folder, plan.model_name, datetime.now(UTC)).root
        paths = RunPaths(folder)
        plan = replace(plan, handover=replace(plan.handover, run_folder=paths.root))
        announce(paths)
        write_start(paths, plan.manifest, plan.handover, model=plan.model_name)
        if plan.text is not None:
            plan = replace(plan, handover=replace(plan.handover, manifest=paths.manifest))
        if os.geteuid() != plan.caller.uid:
            for path in (paths.root, *paths.root.iterdir()):
                os.chown(path, plan.caller.uid, plan.caller.gid)
        asked.join()
        launch = LaunchContext(
            code=code[0],
            image={"reference": plan.request.image, "digest": digest_of(image)},
            datasets=[one.to_data() for one in staged],
            secrets=secrets,
        )
        return DockerHandle(subject.client, plan, paths, launch, held.pop_all(), stdout=stdout)


class DockerHandle:
    """A container, and its successors where the manifest allows retries. Nothing of it is left when `wait` returns, and
    its datasets, which `held` keeps here, are let go.
    """

    def __init__(
        self,
        client: EngineClient,
        plan: DockerPlan,
        paths: RunPaths,
        launch: LaunchContext,
        held: ExitStack,
        *,
        stdout: int,
    ) -> None:
        self._client = client
        self._plan = plan
        self._paths = paths
        self._launch = launch
        self._held = held
        self._stdout = stdout
        self._container: Container | Nodes | None = None

    @property
    def run(self) -> str:
        return str(self._paths.root)

    def wait(self) -> int:
        try:
            with self._held:
                return self._wait()
        finally:
            withdraw(self._paths)

    def _wait(self) -> int:
        compute = self._plan.manifest.compute
        budget = RetryBudget(compute.retries)
        attempt = 1
        with supervise(self._stop, self._kill, max_duration=compute.max_duration) as request:
            while True:
                end = self._run(attempt, request)
                if request.timed_out and end.exit_code != ExitCode.DONE:
                    reason = timeout_reason(compute.max_duration)
                    record_exit(self._paths, end.exit_code, reason, earlier=self._attempts)
                if request.made or not budget.take(end.exit_code):
                    return end.exit_code
                report_retry(self._paths)
                attempt += 1

    def _run(self, attempt: int, asked: StopRequest) -> ExitStatus:
        """One container from its creation to its removal, whatever happens between."""
        self._attempts = count_attempts(self._paths)
        try:
            with self._created(attempt) as container:
                self._container = container
                with map_engine_errors(self._plan.request):
                    state = container.run(asked, stdout=self._stdout)
        except InnerEyeError as error:
            end = ExitStatus(exit_code=error.exit_code, reason=str(error), hint=error.hint)
            self._close_record(end)
            raise
        end = exit_status_of(
            state,
            memory=self._plan.request.memory,
            shared_memory=self._plan.request.shared_memory,
            stopped_by=asked.signum,
        )
        told = recorded_exit_code(self._paths, earlier=self._attempts)
        if told and end.exit_code > 128 and not asked.made:  # by another rank than the one that was killed
            end = ExitStatus(exit_code=told, reason="")
        # The last lines of the job's output, which the job could not write.
        told_late = self._close_record(end).encode()
        with suppress(OSError):  # nobody reads it here; it stands in the folder
            write_all(2, told_late)
        return end

    def _close_record(self, end: ExitStatus) -> str:
        return finalize_run_record(self._paths, end, model=self._plan.model_name, earlier=self._attempts)

    @contextmanager
    def _created(self, attempt: int) -> Iterator[Container | Nodes]:
        with launch_context_file(self._launch, self._plan.caller) as file:
            request = self._plan.container(
                self._plan.handover,
                name=container_name(self._paths.root.name, attempt, os.getpid()),
                launch=file,
                labels={
                    "run": self._paths.root.name,
                    "run-folder": str(self._paths.root),
                    "host": platform.node(),
                    "launcher": current_process(),
                },
            )
            given = {**request.environment, **dict.fromkeys(self._plan.manifest.secrets, "")}
            proxies = proxies_of_containers(self._client.address.host, given)
            request = replace(request, environment={**proxies, **request.environment})
            nodes = self._plan.manifest.compute.nodes
            with created_nodes(self._client, request, nodes, file, self._paths, earlier=self._attempts) as container:
                yield container

    def _stop(self, signum: int) -> None:
        if self._container is not None:
            self._container.signal(signum)

    def _kill(self) -> None:
        if self._container is not None:
            self._container.signal(signal.SIGKILL)


TARGET = DockerTarget()
