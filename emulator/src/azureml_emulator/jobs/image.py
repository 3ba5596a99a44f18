"""The image of a job: the image of its environment, or one that is built from the uploaded build context."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from azureml_emulator.errors import JobError
from azureml_emulator.jobs.cleanup import labels, owner_label
from azureml_emulator.jobs.docker_cli import PROXIES, docker, start
from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.workspace import Workspace
from azureml_emulator.storage.blob_sync import BlobSync

LOG_FOLDER, LOG = "azureml-logs", "20_image_build_log.txt"
"""The path of the build log among the artifacts of the job, as in the service."""
TICK_SECONDS = 0.5
ELSEWHERE = ("azureml:AzureML-", "azureml://registries/")
"""How an environment begins that is not the workspace's own: a job with one is accepted, and fails when it starts."""


def resolve_image(workspace: Workspace, job: CommandJob, root: Path, sync: BlobSync) -> str:
    """The name of the image; '' if the job was canceled during the build. `root`: a folder for the build.

    Raises:
        JobError: the environment does not exist, or its build fails; the reason is in the job's build log.
    """
    identifier = job.properties["environmentId"]
    match = re.search(r"/environments/([^/]+)/versions/([^/]+)$", identifier)
    if match is None or identifier.startswith(ELSEWHERE):
        raise JobError(f"the emulator has no curated environments and no registries: {identifier}")
    environment = workspace.asset("environments", match[1], match[2])["properties"]
    if not environment.get("build"):
        return str(environment["image"])
    tag = f"azureml-emulator/{match[1].lower()}:{match[2].lower()}"[:120]
    context, logs = root / "context", root / LOG_FOLDER
    logs.mkdir(parents=True, exist_ok=True)
    sync.download(*workspace.locate(environment["build"]["contextUri"]), context)
    build = _start_build(context, environment["build"].get("dockerfilePath") or "Dockerfile", tag, logs / LOG)
    while True:
        exit_code = build.poll()
        sync.upload(logs, workspace.artifacts, f"{job.artifact_prefix}/{LOG_FOLDER}")
        if exit_code is not None:
            break
        if job.canceled.is_set():
            build.terminate()
        time.sleep(TICK_SECONDS)
    if job.canceled.is_set():
        return ""
    if exit_code:
        raise JobError(f"Image build failed. For more details, check log file {LOG_FOLDER}/{LOG}.")
    return tag


def remove_images() -> None:
    """Removes the images that this process built."""
    if found := docker("images", "--quiet", "--filter", f"label={owner_label()}", check=False).split():
        docker("rmi", "--force", *found, check=False)


def _start_build(context: Path, dockerfile: str, tag: str, log: Path) -> subprocess.Popen[bytes]:
    words = ["build", *labels(), "--network", "host", "--tag", tag, "--file", str(context / dockerfile)]
    for name in PROXIES:
        words += ["--build-arg", name] if os.environ.get(name) else []
    return start([*words, str(context)], log)
