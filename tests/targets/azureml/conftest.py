"""What the tests of the AzureML target share: a tiny project that names a cluster and an image."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, tiny_project

ROOT = Path(__file__).resolve().parents[3]
IMAGE = os.environ.get("INNEREYE_TEST_IMAGE", "innereye-runtime:cpu")

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


@pytest.fixture
def cloud_for(needs: Callable[..., None]) -> Callable[..., Any]:
    """Opens a stand-in with faults or preemptions of its own, for a `with` block."""
    needs("azure", "azurite")

    @contextmanager
    def opened(**settings: Any) -> Iterator[Any]:
        from innereye_runtime.standin.cloud import open_cloud

        with open_cloud([ROOT], grace=15, **settings) as cloud:
            yield cloud
            assert [str(call) for call in cloud.violations] == []
            assert cloud.proxy.refused == []

    return opened


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
