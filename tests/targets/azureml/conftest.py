"""What the tests of the AzureML target share: a tiny project that names a cluster and an image, and one emulator."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.emulator_contract.violations import violations
from tests.projects import Project, Result, tiny_project

ROOT = Path(__file__).resolve().parents[3]
IMAGE = os.environ.get("INNEREYE_TEST_IMAGE", "innereye-runtime:cpu")
WITH_CERTIFICATES = "innereye-runtime-tests:with-certificates"

MANIFEST = f"""\
schema: 1
container: {{class: Tiny, namespaces: [tiny]}}
compute:
  retries: {{preempted: 0, infrastructure: 0}}
  docker: {{image: "{IMAGE}"}}
  azureml: {{cluster: cpu, image: "{IMAGE}", experiment: trials}}
environment: {{OMP_NUM_THREADS: "1"}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path, MANIFEST)


@pytest.fixture(scope="session")
def standing_cloud(needs: Callable[..., None]) -> Iterator[Any]:
    needs("azure", "azurite", "docker")
    from azureml_emulator.emulator import open_emulator

    with open_emulator(ROOT, grace=15) as opened:
        yield opened


@pytest.fixture
def cloud(standing_cloud: Any) -> Iterator[Any]:
    """The emulator of this folder: one for all tests, each of which leaves it without faults."""
    with checked(standing_cloud):
        yield standing_cloud
    standing_cloud.faults.clear()


@pytest.fixture
def cloud_for(needs: Callable[..., None]) -> Callable[..., Any]:
    """Opens another emulator, with settings of its own, for a `with` block."""
    needs("azure", "azurite")

    @contextmanager
    def opened(**settings: Any) -> Iterator[Any]:
        from azureml_emulator.emulator import open_emulator

        with open_emulator(ROOT, grace=15, **settings) as cloud, checked(cloud):
            yield cloud

    return opened


@contextmanager
def checked(cloud: Any) -> Iterator[None]:
    """No call in the block violates the published API description, and no other host is contacted."""
    calls, refused = len(cloud.calls), len(cloud.proxy.refused)
    yield
    assert violations(cloud.calls[calls:]) == []
    assert cloud.proxy.refused[refused:] == []
    assert {host.partition(".")[2] for host in cloud.proxy.connected} <= {
        "azure.com",
        "microsoftonline.com",
        "blob.core.windows.net",
        "api.azureml.ms",
    }


def newest(cloud: Any) -> Any:
    """The job that was submitted last."""
    return list(cloud.workspace.jobs.values())[-1]


def azure(project: Project, cloud: Any, *words: str) -> Result:
    return project.run("--target", "azureml", "tiny.yaml", *words, environment=cloud.environment())


def address_in(text: str) -> str:
    found = re.findall(r"azureml://\S+/jobs/[\w-]+", text)
    assert found, text
    return str(found[-1])


@pytest.fixture(scope="session")
def image(needs: Callable[..., None]) -> str:
    """The image of the jobs: that of this checkout, unless INNEREYE_TEST_IMAGE names another."""
    needs("docker", "torch")
    if "INNEREYE_TEST_IMAGE" not in os.environ:
        from innereye_runtime.targets.docker.image import build, building_client, plan_build

        if os.geteuid() == 0:  # the base may have to be made first, and that takes root
            path = f"{Path(building_client()).parent}{os.pathsep}{os.environ['PATH']}"
            subprocess.run([ROOT / "images" / "base"], check=True, env={**os.environ, "PATH": path})
        with Path(os.devnull).open("wb") as output:
            build(plan_build(variant="cpu"), output=output.fileno())
    return IMAGE


@pytest.fixture
def reachable(image: str, tmp_path: Path) -> Iterator[str]:
    """The image of the jobs with the certificates of this machine, which a package index may need."""
    from innereye_runtime.targets.docker.build_network import BuildNetwork
    from innereye_runtime.targets.docker.image import building_client

    folder = tmp_path / "image"
    folder.mkdir()
    certificates = BuildNetwork.current().certificates
    (folder / "ca.pem").write_bytes(certificates.read_bytes() if certificates else b"")
    text = f"FROM {image}\n"
    if certificates:
        text += "COPY ca.pem /etc/ca.pem\nENV SSL_CERT_FILE=/etc/ca.pem PIP_CERT=/etc/ca.pem\n"
    (folder / "Dockerfile").write_text(text)
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    docker = building_client()
    subprocess.run([docker, "build", "-q", f"--tag={WITH_CERTIFICATES}", str(folder)], check=True, env=environment)
    yield WITH_CERTIFICATES
    subprocess.run([docker, "rmi", WITH_CERTIFICATES], check=True, env=environment, stdout=subprocess.DEVNULL)
