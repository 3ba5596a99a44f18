"""The image of a job: the one that its environment names, or one built here from the context that was uploaded."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

from azureml_emulator.jobs.cleanup import labels, owner_label
from azureml_emulator.jobs.docker_cli import PROXIES, docker, start
from azureml_emulator.state.job import Job
from azureml_emulator.storage.blob_sync import Mirror
from innereye_runtime.errors import ImageError

LOG_FOLDER, LOG = "azureml-logs", "20_image_build_log.txt"
"""Where the service keeps what an image build printed, among the artifacts of the job that wanted it."""
TICK_SECONDS = 0.5


def image_of(job: Job, root: Path, mirror: Mirror) -> str:
    """The name of the image; '' where the job was canceled while it was built. `root`: a folder for the build.

    Raises:
        ImageError: there is no such environment, or it does not build; the job's build log says why.
    """
    identifier = job.properties["environmentId"]
    match = re.search(r"/environments/([^/]+)/versions/([^/]+)$", identifier)
    if match is None:
        raise ImageError(f"the stand-in has no curated environments: {identifier}")
    environment = job.workspace.asset("environments", match[1], match[2])["properties"]
    if not environment.get("build"):
        return str(environment["image"])
    tag = f"azureml-stand-in/{match[1].lower()}:{match[2].lower()}"[:120]
    context, logs = root / "context", root / LOG_FOLDER
    logs.mkdir(parents=True, exist_ok=True)
    mirror.download(*job.workspace.locate(environment["build"]["contextUri"]), context)
    building = _start_build(context, environment["build"].get("dockerfilePath") or "Dockerfile", tag, logs / LOG)
    while True:
        code = building.poll()
        mirror.upload(logs, job.workspace.artifacts, f"{job.artifact_prefix}/{LOG_FOLDER}")
        if code is not None:
            break
        if job.canceled.is_set():
            building.terminate()
        time.sleep(TICK_SECONDS)
    if job.canceled.is_set():
        return ""
    if code:
        raise ImageError(f"Image build failed. For more details, check log file {LOG_FOLDER}/{LOG}.")
    return tag


def remove_images() -> None:
    """Removes the images that were built here."""
    if found := docker("images", "--quiet", "--filter", f"label={owner_label()}", check=False).split():
        docker("rmi", "--force", *found, check=False)


def _start_build(context: Path, dockerfile: str, tag: str, log: Path) -> subprocess.Popen[bytes]:
    words = ["build", *labels(), "--network", "host", "--tag", tag, "--file", str(context / dockerfile)]
    for name in PROXIES:
        words += ["--build-arg", name] if os.environ.get(name) else []
    return start([*words, str(context)], log)
