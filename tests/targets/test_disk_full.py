"""A disk that fills at each moment of a run: exit code 3, the reason, nothing half, and the run can go on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.data.faults.proxy import Proxy
from tests.data.store import Azurite
from tests.projects import Project, Result, tiny_project

from innereye_runtime.run.output_manifest import verify

FULL = '''\
import os
from pathlib import Path

import param
from pytorch_lightning.callbacks import Callback
from tiny import Tiny


def fill():
    """Something else takes what is free, to the last byte; where no disk is named, it does not."""
    if "DISK" not in os.environ:
        return
    with open(os.environ["DISK"] + "/full", "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass


class Filled(Callback):
    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            fill()


class Full(Tiny):
    moment = param.String(default="", doc="When the disk fills.")

    def get_callbacks(self):
        return [Filled()] if self.moment == "checkpoint" else []

    def setup(self):
        super().setup()
        if self.moment == "user" and "DISK" in os.environ:
            with open("large", "wb") as file:
                while True:
                    file.write(bytes(1 << 20))

    def create_report(self):
        super().create_report()
        if self.moment == "end":
            for number in range(3000):  # that outputs.json has to list, in more than the room that is kept for run.json
                Path(f"many{number}").touch()
            fill()
'''


@pytest.fixture
def disk(small_disk: Callable[[str], Path]) -> Path:
    return small_disk("80m")


@pytest.fixture
def project(needs: Callable[..., None], tmp_path: Path, disk: Path) -> Project:
    needs("torch")
    made = tiny_project(tmp_path)
    made.write("full.py", FULL)
    made.write(
        "full.yaml", f"schema: 1\ncontainer: {{class: Full, namespaces: [full]}}\noutputs: {{folder: '{disk}'}}\n"
    )
    return made


@pytest.fixture(scope="module")
def undisturbed(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of a run whose disk has room."""
    needs("torch")
    return tiny_project(tmp_path_factory.mktemp("undisturbed")).run("tiny.yaml").weights


@pytest.mark.parametrize("moment", ["user", "checkpoint", "end"])
def test_a_run_whose_disk_fills_says_so_and_goes_on_later(
    moment: str, project: Project, disk: Path, undisturbed: str
) -> None:
    result = project.run("full.yaml", f"--moment={moment}", environment={"DISK": str(disk)})
    assert result.exit_code == 3, result.stdout + result.stderr
    assert "error: disk full" in result.stdout + result.stderr
    assert "hint: free some space" in result.stdout + result.stderr
    (run,) = disk.glob("*_Full")
    assert result.run == run
    record = result.record
    assert (record["state"], record["exit_code"]) == ("failed", 3)
    assert record["reason"].startswith("disk full")
    assert not list(run.rglob("*outputs.json*"))
    assert not list(run.rglob("*.tmp"))
    epochs = {"user": None, "checkpoint": 1, "end": 4}[moment]
    assert [epoch_of(path) for path in sorted(run.glob("checkpoints/*.ckpt"))] == [epochs] * (2 if epochs else 0)

    (run / "large" if moment == "user" else disk / "full").unlink()
    again = project.run("resume", str(run))
    assert again.exit_code == 0, again.stdout + again.stderr
    assert verify(run) == ()
    assert again.weights == undisturbed


def epoch_of(checkpoint: Path) -> int:
    """The number of complete epochs in a checkpoint, which has to load."""
    from innereye_runtime.training.checkpoints.checkpointing import Recovery
    from innereye_runtime.training.checkpoints.weights import read_checkpoint

    epochs: int = read_checkpoint(checkpoint)["callbacks"][Recovery.__qualname__]["epochs"]
    return epochs


@pytest.fixture
def azurite(needs: Callable[..., None], tmp_path: Path) -> Iterator[Azurite]:
    needs("azurite")
    store = Azurite(tmp_path)
    yield store
    store.stop()


def test_a_disk_that_fills_while_a_dataset_is_fetched(azurite: Azurite, project: Project, disk: Path) -> None:
    container = azurite.create("data")
    container.put({f"scans/{number:02}": os.urandom(1 << 20) for number in range(20)})
    reads: list[str] = []

    def plan(number: int, path: str) -> None:
        if "comp=list" not in path:
            reads.append(path)
            if number == 12:
                (disk / "full").write_bytes(bytes(disk_free(disk) - (1 << 20)))

    url = container.url("scans")
    project.write(
        "fetch.yaml",
        f"schema: 1\ncontainer: {{class: Tiny, namespaces: [tiny]}}\ndataset: {{id: '{url}', mode: download}}\n",
    )
    proxy = Proxy(azurite.port, plan)
    try:
        environment = azurite.environment(f"http://127.0.0.1:{proxy.port}/tests")
        environment["XDG_CACHE_HOME"] = str(disk)
        result = project.run("fetch.yaml", environment=environment)
        assert result.exit_code == 3, result.stdout + result.stderr
        assert "disk full: 21 MB go to " in result.stdout + result.stderr
        assert "disk full" in result.record["reason"]
        assert not list(disk.rglob("complete.json"))
        assert cached(project, environment) == [None]

        (disk / "full").unlink()
        reads.clear()
        again = project.run("fetch.yaml", environment=environment)
    finally:
        proxy.stop()
    assert again.exit_code == 0, again.stdout + again.stderr
    assert len(reads) < 20, "what had come before the disk was full is not fetched again"
    assert cached(project, environment) == [again.record["datasets"][0]["sha256"]]


def disk_free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def cached(project: Project, environment: dict[str, str]) -> list[Any]:
    """The fingerprints of what is in the cache; None of what is not whole."""
    told: Result = project.run("data", "cache", "ls", "--json", environment=environment)
    return [entry["sha256"] for entry in json.loads(told.stdout)]
