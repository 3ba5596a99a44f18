"""The same dataset by every way that it can come, trained on: equal fingerprints, equal weights.

The store is a real one, the containers run on a real engine, and AzureML is the emulator.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.data.store import Container
from tests.emulator_contract.violations import violations
from tests.projects import Project
from tests.targets.docker.conftest import Engine, engine

from innereye_runtime.data.mount.mounting import rclone

__all__ = ["engine"]

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "data" / "hello"
IMAGE = "innereye-runtime:cpu"
MANIFEST = """\
schema: 1
container: {{class: HelloContainer}}
trainer: {{num_epochs: 2}}
dataset: {{{dataset}}}
compute: {{azureml: {{cluster: cpu, image: "innereye-runtime:cpu"}}}}
outputs: {{folder: outputs}}
"""


class Trained(NamedTuple):
    weights: str
    dataset: dict[str, Any]
    """What run.json says of it."""

    @property
    def result(self) -> tuple[str, str]:
        """What must be equal by every way."""
        return self.weights, self.dataset["sha256"]


def train(root: Path, dataset: str, *words: str, **environment: str) -> Trained:
    """hello, trained on a dataset as a manifest names it."""
    project = Project(root)
    manifest = project.write("hello.yaml", MANIFEST.format(dataset=dataset))
    done = subprocess.run(
        project.command(*words, "--json", str(manifest)),
        cwd=root,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (described,) = json.loads((Path(told["run"]) / "run.json").read_text())["datasets"]
    return Trained(told["weights_sha256"], described)


@pytest.fixture(scope="module")
def expected(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The result from a folder of this machine, in a process of it."""
    needs("torch")
    trained = train(tmp_path_factory.mktemp("folder"), f"local: '{HELLO}'")
    assert (trained.dataset["source"], trained.dataset["mode"]) == (str(HELLO), "mount")
    return trained.result


@pytest.fixture
def blobs(container: Container) -> str:
    """hello's dataset in the blob store."""
    container.put({f"hello/{path.name}": path.read_bytes() for path in HELLO.iterdir()})
    return f"id: '{container.url('hello')}'"


def test_a_cold_and_a_warm_cache(expected: tuple[str, str], blobs: str, tmp_path: Path) -> None:
    cold = train(tmp_path, f"{blobs}, mode: download")
    warm = train(tmp_path, f"{blobs}, mode: auto")
    assert (cold.dataset["mode"], warm.dataset["mode"]) == ("download", "download")
    assert cold.dataset["seconds"] > 0
    assert warm.dataset["seconds"] == 0
    assert "the cache has them already" in warm.dataset["reason"]
    assert cold.result == warm.result == expected


def test_a_mount(needs: Callable[..., None], expected: tuple[str, str], blobs: str, tmp_path: Path) -> None:
    needs("fuse")
    mounted = train(tmp_path, f"{blobs}, mode: mount, strict: true")
    assert (mounted.dataset["source"], mounted.dataset["mode"]) == (blobs[5:-1], "mount")
    assert mounted.result == expected


def test_a_folder_in_a_container(engine: Engine, expected: tuple[str, str], tmp_path: Path) -> None:
    bound = train(tmp_path, f"local: '{HELLO}'", "--target=docker")
    assert (bound.dataset["source"], bound.dataset["mode"]) == (str(HELLO), "mount")
    assert bound.result == expected


def test_a_cold_and_a_warm_cache_in_a_container(
    engine: Engine, expected: tuple[str, str], blobs: str, tmp_path: Path
) -> None:
    cold, warm = (train(tmp_path, f"{blobs}, mode: download", "--target=docker") for _ in range(2))
    assert cold.dataset["mb_per_s"] > 0
    assert "mb_per_s" not in warm.dataset
    assert cold.result == warm.result == expected


def test_a_mount_in_a_container(
    engine: Engine, needs: Callable[..., None], expected: tuple[str, str], blobs: str, tmp_path: Path
) -> None:
    needs("fuse")
    mounted = train(tmp_path, f"{blobs}, mode: mount, strict: true", "--target=docker")
    assert (mounted.dataset["source"], mounted.dataset["mode"]) == (blobs[5:-1], "mount")
    assert mounted.result == expected


def test_a_container_that_mounts_by_itself(
    engine: Engine, needs: Callable[..., None], expected: tuple[str, str], blobs: str, tmp_path: Path
) -> None:
    needs("fuse")
    program = rclone()
    assert program is not None
    may = ["--device=/dev/fuse", "--cap-add=SYS_ADMIN", f"--volume={program}:/usr/local/bin/rclone:ro"]
    mounted = train_by_hand(engine, tmp_path, f"{blobs}, mode: mount, strict: true", *may)
    assert (mounted.dataset["source"], mounted.dataset["mode"]) == (blobs[5:-1], "mount")
    assert mounted.result == expected


def test_one_that_may_not_downloads_and_says_so(
    engine: Engine, expected: tuple[str, str], blobs: str, tmp_path: Path
) -> None:
    fetched = train_by_hand(engine, tmp_path, f"{blobs}, mode: mount")
    assert fetched.dataset["mode"] == "download"
    assert "there is no /dev/fuse that this process may open" in fetched.dataset["reason"]
    assert fetched.result == expected


def train_by_hand(engine: Engine, root: Path, dataset: str, *options: str) -> Trained:
    """As `train`, by `docker run` of the image, as root."""
    Project(root).write("hello.yaml", MANIFEST.format(dataset=dataset))
    words = ["--rm", "--network=host", "--env=AZURE_STORAGE_CONNECTION_STRING", f"--volume={root}:/workspace"]
    done = engine("run", *words, *options, IMAGE, "hello.yaml", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (root / "outputs").iterdir()
    record = json.loads((run / "run.json").read_text())
    return Trained(record["checkpoints"]["last"]["weights_sha256"], record["datasets"][0])


def test_an_input_of_a_job_in_azureml(
    engine: Engine, needs: Callable[..., None], expected: tuple[str, str], tmp_path: Path
) -> None:
    needs("azure", "azurite")
    from azureml_emulator.emulator import open_emulator

    with open_emulator(ROOT, grace=15) as cloud:
        cloud.add_data("hello", HELLO)
        there = train(tmp_path, "id: hello", "--target=azureml", **cloud.environment())
        assert violations(cloud.calls) == []
    assert there.result == expected
