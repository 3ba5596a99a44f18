"""A job without an image: its environment is built from the context that came with it, or the log says why not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.emulator_contract.violations import violations
from tests.projects import Project, tiny_project
from tests.targets.azureml.conftest import IMAGE, ROOT

from innereye_runtime.targets.azureml.job_uri import JobUri

if TYPE_CHECKING:
    from azureml_emulator.emulator import Emulator

pytestmark = pytest.mark.usefixtures("ready", "image")

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
compute: {azureml: {cluster: cpu}}
environment: {OMP_NUM_THREADS: "1"}
"""

PYTHON = f"""\
FROM {IMAGE}
RUN --mount=type=bind,from=innereye-runtime-tools,source=/opt/tools/lib/python3.11/site-packages,target=/tools \\
    cp -r /tools/{{pip,hatchling,pathspec,pluggy,tomlkit,trove_classifiers}}* /opt/venv/lib/python3.11/site-packages \\
    && printf '#!/bin/sh\\n[ "$3" = --require-hashes ] || exec python3 -m pip "$@"\\n' > /opt/venv/bin/pip \\
    && chmod +x /opt/venv/bin/pip \\
    && pip uninstall --yes --quiet innereye-runtime && rm -rf /opt/innereye-runtime
ENV PIP_NO_INDEX=1 PIP_NO_BUILD_ISOLATION=0 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
ENTRYPOINT []
"""
"""In place of the Python image of a registry: what the locks have is in it, this project is not; pip asks nobody."""


@pytest.fixture
def python_image(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`BASE` of the target's contexts on this engine, made of what is there; what had that name has it again after."""
    from innereye_runtime.targets.azureml.environment import BASE
    from innereye_runtime.targets.docker.build_network import BuildNetwork
    from innereye_runtime.targets.docker.image import DEFAULT_BASE, DOCKERFILE, building_client

    docker, environment = building_client(), {**os.environ, "DOCKER_BUILDKIT": "1"}

    def engine(*words: str, stdin: str = "", check: bool = True) -> str:
        done = subprocess.run(
            [docker, *words], input=stdin, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip()

    before = engine("images", "--quiet", BASE)
    tools = ("--target=tools", "--tag=innereye-runtime-tools", f"--build-arg=BASE={DEFAULT_BASE}")
    secrets = BuildNetwork.current().write_secrets(tmp_path_factory.mktemp("secrets"))
    network = ("--network=host", *(f"--secret=id={name},src={path}" for name, path in secrets.items()))
    engine("build", *network, f"--file={ROOT / DOCKERFILE}", *tools, str(ROOT))  # as the image had it: cached
    engine("build", "--tag", BASE, "-", stdin=PYTHON)
    yield
    engine("rmi", "innereye-runtime-tools", check=False)
    engine("tag", before, BASE) if before else engine("rmi", BASE, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path, MANIFEST)


@pytest.mark.usefixtures("python_image")
def test_a_job_without_an_image_runs_in_what_its_context_builds(project: Project, emulator: Emulator) -> None:
    environment = {**emulator.environment(), "INNEREYE_AZUREML_IMAGE": ""}
    there = project.run("--target", "azureml", "tiny.yaml", "--num_epochs=1", environment=environment)
    assert there.exit_code == 0, there.stdout + there.stderr
    assert "COPY . /opt/innereye-runtime/source" in there.stdout  # the log of the build comes before that of the job
    assert there.stdout.index("COPY . ") < there.stdout.index("epoch 1 of 1")
    assert there.weights == project.run("tiny.yaml", "--num_epochs=1").weights
    assert there.record["image"] is None  # nobody named one
    assert violations(emulator.calls) == []


def test_one_that_does_not_build_has_the_job_fail_and_its_log_shown(emulator: Emulator) -> None:
    dockerfile = f"FROM {IMAGE}\nRUN echo the third wheel is missing >&2 && exit 3\n"
    store = emulator.workspace.blobs.get_container_client(emulator.workspace.store)
    store.upload_blob("LocalUpload/broken/Dockerfile", dockerfile)
    context = f"{emulator.workspace.account_url}/{emulator.workspace.store}/LocalUpload/broken/"
    properties = {"build": {"contextUri": context, "dockerfilePath": "Dockerfile"}}
    identifier = emulator.workspace.put("environments", "broken", "1", properties)["id"]
    job = emulator.runner.make("broken", {"jobType": "Command", "command": "true", "environmentId": identifier})
    emulator.workspace.jobs[job.name] = job
    emulator.runner.start(job)
    workspace = emulator.workspace
    address = JobUri(
        subscription_id=workspace.subscription,
        resource_group=workspace.group,
        workspace=workspace.name,
        job=job.name,
    )
    command = [str(Path(sys.executable).with_name("innereye-run")), "logs", "-f", str(address)]
    done = subprocess.run(
        command, env={**os.environ, **emulator.environment()}, capture_output=True, text=True, timeout=120
    )
    assert "the third wheel is missing\n" in done.stdout, done.stderr
    assert job.history == ["Queued", "Preparing", "Failed"]
    assert job.error == "Image build failed. For more details, check log file azureml-logs/20_image_build_log.txt."
