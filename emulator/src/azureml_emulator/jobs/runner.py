"""Runs jobs in the local engine, one container for each node, and sets the status of each."""

from __future__ import annotations

import re
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from azureml_emulator.errors import EmulatorError, JobError
from azureml_emulator.http import utc_now
from azureml_emulator.jobs.attempt import KEPT_FOLDERS, LOG_FOLDER, PLACEHOLDER, JobAttempt, prepare_attempt
from azureml_emulator.jobs.cleanup import labels, remove_stale
from azureml_emulator.jobs.docker_cli import docker, start
from azureml_emulator.jobs.image import ELSEWHERE, remove_images, resolve_image
from azureml_emulator.jobs.search_space import rejection_reason as search_space_rejection
from azureml_emulator.jobs.sweep import run_sweep
from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.sweep_job import SweepJob
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.blob_sync import BlobSync
from azureml_emulator.storage.output_store import StoreMode

TICK_SECONDS = 0.5
OTHERS_GRACE_SECONDS = 5
"""The grace period of the other nodes after one has failed."""


class Runner:
    """`preemptions`: seconds after which the first, second, ... attempt of every job loses its nodes."""

    def __init__(
        self,
        workspace: Workspace,
        root: Path,
        *,
        authority: Path,
        grace: int,
        preemptions: Sequence[float],
        restarts_preempted: bool,
        store_modes: Sequence[StoreMode],
        most_running: int | None,
        run_token: Callable[[], str],
        listen: Callable[[str], int],
    ) -> None:
        """`most_running`: at the same time; other jobs stay queued. None: no limit.
        `listen`: makes the proxy listen on an address of a job's network, and returns the port."""
        self.grace = grace
        self._workspace = workspace
        self._root = root
        self._authority = authority
        self._preemptions = tuple(preemptions)
        self._restarts_preempted = restarts_preempted
        self._store_modes = tuple(store_modes)
        self._places = threading.Semaphore(most_running) if most_running else None
        self._run_token = run_token
        self._listen = listen
        self._threads: list[threading.Thread] = []

    def rejection_reason(self, properties: dict[str, Any]) -> str:
        """Why the service rejects a job, apart from its schema; '' if it accepts the job."""
        if properties["jobType"] not in ("Command", "Sweep"):
            return f"the emulator runs Command and Sweep jobs only, not {properties['jobType']}"
        known = {"inputs": properties.get("inputs") or {}, "outputs": properties.get("outputs") or {}}
        component = properties
        if properties["jobType"] == "Sweep":
            component, known["search_space"] = properties["trial"], properties["searchSpace"]
            algorithm = properties["samplingAlgorithm"]["samplingAlgorithmType"]
            if reason := search_space_rejection(known["search_space"], algorithm):
                return reason
        for kind, name in PLACEHOLDER.findall(component["command"]):
            if name not in known.get(kind, {}):
                return f"the command refers to {kind}.{name}, which the job does not define"
        for key in ("codeId", "environmentId"):
            identifier = component.get(key) or ""
            match = re.search(r"/(codes|environments)/([^/]+)/versions/([^/]+)$", identifier)
            is_there = match and match.groups() in self._workspace.assets
            if identifier and not is_there and not identifier.startswith(ELSEWHERE):
                return f"{key} {identifier} does not exist"
        for name, definition in known["inputs"].items():
            if definition["jobInputType"] != "literal":
                try:
                    self._workspace.locate(definition["uri"])
                except ValueError as error:
                    return f"input {name}: {error}"
        return ""

    def make(self, name: str, properties: dict[str, Any]) -> CommandJob:
        """A job with these properties that does not run yet."""
        return (SweepJob if properties["jobType"] == "Sweep" else CommandJob)(name, properties)

    def start(self, job: CommandJob) -> None:
        """Runs `job` in a thread of its own."""
        run = self._run_sweep if isinstance(job, SweepJob) else self._run_job
        thread = threading.Thread(target=run, args=(job,), daemon=True, name=job.name)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Cancels the running jobs, and waits until their containers and images are removed."""
        for job in list(self._workspace.jobs.values()):
            job.cancel()
        for thread in list(self._threads):
            thread.join(self.grace + 30)
        if self._threads:
            remove_images()

    # -- the lifecycle of a job ---------------------------------------------------

    def _run_sweep(self, sweep: SweepJob) -> None:
        remove_stale()
        limit = sweep.limits.get("timeout")
        try:
            run_sweep(self._workspace, sweep, self.start, timeout=_duration(limit) if limit else None)
        except Exception:
            sweep.error, sweep.ended = traceback.format_exc(limit=-1), utc_now()
            sweep.set_status("Failed")

    def _run_job(self, job: CommandJob) -> None:
        try:
            if len(self._threads) == 1:  # once, and only if Docker is needed anyway
                remove_stale()
            with self._place(job):
                codes = self._run_attempts(job)
            lost = job.preempted.is_set() and not job.canceled.is_set()
            if not job.canceled.is_set():
                job.set_status("Finalizing")
            job.ended = utc_now()
            if job.canceled.is_set():
                job.set_status("Canceled")
            elif lost:
                job.error = "PreemptionError: the node was preempted, and the job is not restarted."
                job.set_status("Failed")
            elif failed := next((code for code in codes if code), 0):
                job.error = f"Execution failed. User process '/bin/bash' exited with status code {failed}."
                job.set_status("Failed")
            else:
                self._workspace.register_named_outputs(job)
                job.set_status("Completed")
        except Exception as error:
            # An error of the service, such as a missing image: the job fails with its message.
            job.error = str(error) if isinstance(error, EmulatorError) else traceback.format_exc(limit=-1)
            job.ended = utc_now()
            job.set_status("Failed")

    @contextmanager
    def _place(self, job: CommandJob) -> Iterator[None]:
        """While it is open, the job counts as running; before that, it waits for its turn or until it is cancelled."""
        if self._places is None:
            yield
            return
        job.set_status("Queued")
        while not (taken := self._places.acquire(timeout=TICK_SECONDS)) and not job.canceled.is_set():
            continue
        try:
            yield
        finally:
            if taken:
                self._places.release()

    def _run_attempts(self, job: CommandJob) -> list[int]:
        workspace, image = self._workspace, ""
        sync = BlobSync(workspace.blobs)
        while True:
            job.attempt += 1
            job.preempted.clear()
            for status in ("Queued", "Preparing"):
                if not job.canceled.is_set():
                    job.set_status(status)
            if job.canceled.is_set():
                return []
            image = image or resolve_image(workspace, job, self._root / job.name / "build", sync)
            if job.canceled.is_set():
                return []
            codes = self._run_attempt(job, image, sync)
            if not job.preempted.is_set() or job.canceled.is_set():
                return codes
            job.warnings.append("Low priority compute preemption warning: a node has been preempted.")
            if not self._restarts_preempted:
                return codes

    def _run_attempt(self, job: CommandJob, image: str, sync: BlobSync) -> list[int]:
        """The exit codes of the nodes."""
        root = self._root / job.name
        shutil.rmtree(root / f"attempt{job.attempt - 1}", ignore_errors=True)
        network = f"azureml-{job.uuid.hex[:12]}-{job.attempt}"
        docker("network", "create", "--internal", *labels(), network)
        names: list[str] = []
        try:
            proxy = self._proxy_for(network)
            attempt = prepare_attempt(
                self._workspace,
                job,
                root,
                sync,
                token=self._run_token(),
                proxy=proxy,
                authority=self._authority,
                store_modes=self._store_modes,
            )
            names = [attempt.node_name(node) for node in range(attempt.nodes)]
            return self._run_nodes(attempt, image, names, sync)
        finally:
            for name in names:
                docker("rm", "--force", name, check=False)
            docker("network", "rm", network, check=False)

    def _run_nodes(self, attempt: JobAttempt, image: str, names: list[str], sync: BlobSync) -> list[int]:
        job = attempt.job
        error_logs = [attempt.folder / f"docker{node}.txt" for node in range(attempt.nodes)]
        processes = [start(attempt.node_command(node, image), error_logs[node]) for node in range(attempt.nodes)]
        began = time.monotonic()
        job.started = job.started or utc_now()
        if not job.canceled.is_set():
            job.set_status("Running")
        stopping = False
        while any(process.poll() is None for process in processes):
            self._check_time_limits(job, time.monotonic() - began)
            upload_attempt(attempt, sync)
            if not stopping and (job.canceled.is_set() or job.preempted.is_set()):
                stopping = True
                abrupt = not job.canceled.is_set() and not job.preempted_with_notice
                _end(names, None if abrupt else self.grace)
            elif not stopping and any(process.poll() not in (None, 0) for process in processes):
                stopping = True
                _end(names, OTHERS_GRACE_SECONDS)
            time.sleep(TICK_SECONDS)
        if not job.preempted.is_set() or job.preempted_with_notice:
            upload_attempt(attempt, sync)
        if not job.preempted.is_set():
            for output in attempt.outputs.values():
                output.store.upload(sync, output.folders, output.container, output.prefix, is_last=True)
        codes = [process.wait() for process in processes]
        for code, error_log in zip(codes, error_logs, strict=True):
            if code == 125:  # docker itself could not run it
                raise JobError(error_log.read_text(errors="replace").strip())
        return codes

    def _check_time_limits(self, job: CommandJob, seconds: float) -> None:
        """Preempts the job or cancels it by its time limit, if the time has come."""
        planned = self._preemptions[job.attempt - 1 : job.attempt]
        if planned and seconds >= planned[0] and not job.preempted.is_set():
            job.preempt()
        limit = (job.properties.get("limits") or {}).get("timeout")
        if limit and seconds >= _duration(limit) and not job.canceled.is_set():
            job.error = f"the job was canceled: it ran longer than its limit of {limit}"
            job.cancel()

    def _proxy_for(self, network: str) -> str:
        """The URL of the proxy inside `network`; '' if the engine is on another machine."""
        gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network)
        try:
            return f"http://{gateway}:{self._listen(gateway)}"
        except OSError:
            return ""


def upload_attempt(attempt: JobAttempt, sync: BlobSync) -> None:
    """Uploads what the service uploads while a job runs: its logs, ./outputs, ./logs and mounted outputs."""
    workspace, job = attempt.workspace, attempt.job
    for node, host in enumerate(attempt.working_folders):
        for folder in (*(KEPT_FOLDERS if node == 0 else ()), LOG_FOLDER):
            # Each node uploads its own logs, and must not remove those of another.
            place = f"{job.artifact_prefix}/{folder}"
            sync.upload(host / folder, workspace.artifacts, place, removes=folder != LOG_FOLDER)
    for output in attempt.outputs.values():
        if output.is_mount:
            output.store.upload(sync, output.folders, output.container, output.prefix, is_last=False)


def _end(names: list[str], grace: int | None) -> None:
    """Sends SIGTERM to the first process of each container and SIGKILL after `grace` seconds; None: SIGKILL at once.
    Does not wait.
    """
    words = ("kill",) if grace is None else ("stop", "--time", str(grace))
    for name in names:
        threading.Thread(target=docker, args=(*words, name), kwargs={"check": False}, daemon=True).start()


def _duration(text: str) -> float:
    """Seconds of an ISO 8601 duration such as `PT1H30M`."""
    units = {"D": 86400, "H": 3600, "M": 60, "S": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([DHMS])", text))
