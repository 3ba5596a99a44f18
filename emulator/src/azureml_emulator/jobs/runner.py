"""Runs jobs in the local engine, one container for each node, and takes them through the states that a job has."""

from __future__ import annotations

import re
import shutil
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from azureml_emulator.http import utc_now
from azureml_emulator.jobs.attempt import KEPT_FOLDERS, LOG_FOLDER, PLACEHOLDER, Attempt, prepare
from azureml_emulator.jobs.cleanup import labels, remove_left_behind
from azureml_emulator.jobs.docker_cli import docker, start
from azureml_emulator.jobs.image import image_of, remove_images
from azureml_emulator.state.job import Job
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.blob_sync import Mirror
from innereye_runtime.errors import ImageError, InnerEyeError

TICK_SECONDS = 0.5
OTHERS_GRACE_SECONDS = 5
"""What the other nodes have to end, when one has failed."""


class Runner:
    """`preemptions`: seconds after which each attempt of every job loses its nodes, the first attempt first."""

    def __init__(
        self,
        workspace: Workspace,
        root: Path,
        *,
        authority: Path,
        grace: int,
        preemptions: Sequence[float],
        restarts_preempted: bool,
        run_token: Callable[[], str],
        listen: Callable[[str], int],
    ) -> None:
        """`listen`: opens the stand-in to an address of a job's network, and gives the port."""
        self.grace = grace
        self._workspace = workspace
        self._root = root
        self._authority = authority
        self._preemptions = tuple(preemptions)
        self._restarts_preempted = restarts_preempted
        self._run_token = run_token
        self._listen = listen
        self._threads: list[threading.Thread] = []

    def reason_to_refuse(self, properties: dict[str, Any]) -> str:
        """What the service says no to when a job comes in and no schema can express; '' where there is nothing."""
        if properties["jobType"] != "Command":
            return f"the stand-in runs Command jobs only, not {properties['jobType']}"
        known = {"inputs": properties.get("inputs") or {}, "outputs": properties.get("outputs") or {}}
        for kind, name in PLACEHOLDER.findall(properties["command"]):
            if name not in known.get(kind, {}):
                return f"the command refers to {kind}.{name}, which the job does not define"
        for key in ("codeId", "environmentId"):
            identifier = properties.get(key) or ""
            match = re.search(r"/(codes|environments)/([^/]+)/versions/([^/]+)$", identifier)
            is_there = match and match.groups() in self._workspace.assets
            if identifier and not is_there and not identifier.startswith("azureml:AzureML-"):
                return f"{key} {identifier} does not exist"
        for name, given in known["inputs"].items():
            if given["jobInputType"] != "literal":
                try:
                    self._workspace.locate(given["uri"])
                except ValueError as error:
                    return f"input {name}: {error}"
        return ""

    def make(self, name: str, properties: dict[str, Any]) -> Job:
        return Job(self._workspace, name, properties)

    def start(self, job: Job) -> None:
        """Lets `job` run in a thread of its own."""
        thread = threading.Thread(target=self._live, args=(job,), daemon=True, name=job.name)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Cancels what runs, and waits until no container and no image of a job is left."""
        for job in list(self._workspace.jobs.values()):
            job.cancel()
        for thread in self._threads:
            thread.join(self.grace + 30)
        if self._threads:
            remove_images()

    # -- the life of a job --------------------------------------------------------

    def _live(self, job: Job) -> None:
        try:
            if len(self._threads) == 1:  # once, and where Docker is needed anyway
                remove_left_behind()
            codes = self._attempts(job)
            lost = job.preempted.is_set() and not job.canceled.is_set()
            if not job.canceled.is_set():
                job.become("Finalizing")
            job.ended = utc_now()
            if job.canceled.is_set():
                job.become("Canceled")
            elif lost:
                job.error = "PreemptionError: the node was preempted, and the job is not started again."
                job.become("Failed")
            elif failed := next((code for code in codes if code), 0):
                job.error = f"Execution failed. User process '/bin/bash' exited with status code {failed}."
                job.become("Failed")
            else:
                job.become("Completed")
        except Exception as error:
            # A fault on the side of the service, such as an image that is not there: the job fails, and says why.
            job.error = str(error) if isinstance(error, InnerEyeError) else traceback.format_exc(limit=-1)
            job.ended = utc_now()
            job.become("Failed")

    def _attempts(self, job: Job) -> list[int]:
        mirror, image = Mirror(self._workspace.blobs), ""
        while True:
            job.attempt += 1
            job.preempted.clear()
            for status in ("Queued", "Preparing"):
                if not job.canceled.is_set():
                    job.become(status)
            if job.canceled.is_set():
                return []
            image = image or image_of(job, self._root / job.name / "build", mirror)
            if job.canceled.is_set():
                return []
            codes = self._attempt(job, image, mirror)
            if not job.preempted.is_set() or job.canceled.is_set():
                return codes
            job.warnings.append("Low priority compute preemption warning: a node has been preempted.")
            if not self._restarts_preempted:
                return codes

    def _attempt(self, job: Job, image: str, mirror: Mirror) -> list[int]:
        """The exit codes of the nodes."""
        root = self._root / job.name
        shutil.rmtree(root / f"attempt{job.attempt - 1}", ignore_errors=True)
        network = f"azureml-{job.uuid.hex[:12]}-{job.attempt}"
        docker("network", "create", "--internal", *labels(), network)
        names: list[str] = []
        try:
            proxy = self._proxy_for(network)
            attempt = prepare(job, root, mirror, token=self._run_token(), proxy=proxy, authority=self._authority)
            names = [attempt.node_name(node) for node in range(attempt.nodes)]
            return self._run(job, attempt, image, names, mirror)
        finally:
            for name in names:
                docker("rm", "--force", name, check=False)
            docker("network", "rm", network, check=False)

    def _run(self, job: Job, attempt: Attempt, image: str, names: list[str], mirror: Mirror) -> list[int]:
        complaints = [attempt.folder / f"docker{node}.txt" for node in range(attempt.nodes)]
        processes = [start(attempt.node_command(node, image), complaints[node]) for node in range(attempt.nodes)]
        began = time.monotonic()
        job.started = job.started or utc_now()
        if not job.canceled.is_set():
            job.become("Running")
        stopping = False
        while any(process.poll() is None for process in processes):
            self._keep_schedule(job, time.monotonic() - began)
            mirror_attempt(attempt, mirror)
            if not stopping and (job.canceled.is_set() or job.preempted.is_set()):
                stopping = True
                abrupt = not job.canceled.is_set() and not job.preempted_with_notice
                _end(names, None if abrupt else self.grace)
            elif not stopping and any(process.poll() not in (None, 0) for process in processes):
                stopping = True
                _end(names, OTHERS_GRACE_SECONDS)
            time.sleep(TICK_SECONDS)
        if not job.preempted.is_set() or job.preempted_with_notice:
            mirror_attempt(attempt, mirror)
        if not job.preempted.is_set():
            for output in attempt.outputs.values():
                mirror.upload(output.folder, output.container, output.prefix)
        codes = [process.wait() for process in processes]
        for code, complaint in zip(codes, complaints, strict=True):
            if code == 125:  # docker itself could not run it
                raise ImageError(complaint.read_text(errors="replace").strip())
        return codes

    def _keep_schedule(self, job: Job, seconds: float) -> None:
        """Preempts and times out when it is time."""
        planned = self._preemptions[job.attempt - 1 : job.attempt]
        if planned and seconds >= planned[0] and not job.preempted.is_set():
            job.preempt()
        limit = (job.properties.get("limits") or {}).get("timeout")
        if limit and seconds >= _duration(limit) and not job.canceled.is_set():
            job.error = f"the job was canceled: it ran longer than its limit of {limit}"
            job.cancel()

    def _proxy_for(self, network: str) -> str:
        """The stand-in's address inside `network`; '' where the engine is on another machine than this."""
        gateway = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", network)
        try:
            return f"http://{gateway}:{self._listen(gateway)}"
        except OSError:
            return ""


def mirror_attempt(attempt: Attempt, mirror: Mirror) -> None:
    """Brings to the blob store what the service keeps while a job runs: its logs, ./outputs, ./logs, and mounted
    outputs.
    """
    job = attempt.job
    for node, host in enumerate(attempt.working_folders):
        for folder in (*(KEPT_FOLDERS if node == 0 else ()), LOG_FOLDER):
            # Each node brings its own logs, so that none may remove another's.
            place = f"{job.artifact_prefix}/{folder}"
            mirror.upload(host / folder, job.workspace.artifacts, place, removes=folder != LOG_FOLDER)
    for output in attempt.outputs.values():
        if output.is_mount:
            mirror.upload(output.folder, output.container, output.prefix)


def _end(names: list[str], grace: int | None) -> None:
    """SIGTERM to each container's first process and SIGKILL after `grace` seconds; None: SIGKILL at once. Does not
    wait.
    """
    words = ("kill",) if grace is None else ("stop", "--time", str(grace))
    for name in names:
        threading.Thread(target=docker, args=(*words, name), kwargs={"check": False}, daemon=True).start()


def _duration(text: str) -> float:
    """Seconds of an ISO 8601 duration, as `PT1H30M`."""
    units = {"D": 86400, "H": 3600, "M": 60, "S": 1}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)([DHMS])", text))
