"""A real engine with the CPU image of this checkout, and users' projects that run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.projects import Project, Result, tiny_project

from innereye_runtime.targets.docker.engine import connect
from innereye_runtime.targets.docker.image import build, building_client, plan_build
from innereye_runtime.targets.docker.runs import containers

ROOT = Path(__file__).resolve().parents[3]
UID = 12345

TROUBLE = """\
import mmap
import os
import sys
import time
from pathlib import Path

import param
import torch
from torch.utils.data import DataLoader, Dataset

from tiny import Data, Tiny


class Large(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.zeros(4 << 20), torch.zeros(1)


class LargeData(Data):
    def train_dataloader(self):
        return DataLoader(Large(), batch_size=2, num_workers=1)


class Trouble(Tiny):
    trouble = param.String(default="", doc="What goes wrong.")

    def setup(self):
        match self.trouble:
            case "memory":
                hoard = [b"x" * (16 << 20) for _ in range(100_000)]
            case "disk":
                with open("large", "wb") as file:
                    while True:
                        file.write(bytes(1 << 20))
            case "bus error":
                with open("/dev/shm/large", "wb+") as file:
                    file.truncate(64 << 20)
                    mmap.mmap(file.fileno(), 0)[:] = b"x" * (64 << 20)
            case "noise":
                for piece in (b"50%\\r", b"caf\\xc3", b"\\xa9 \\xf0\\x9f\\xa7", b"\\xa0\\n", b"\\xff no text\\n"):
                    os.write(1, piece)
                    time.sleep(0.1)
                os.write(2, b"to standard error\\n")
            case "secret":
                Path("lengths.txt").write_text(str({k: len(os.environ.get(k, "")) for k in ("API_KEY", "OTHER_KEY")}))
            case "waits":
                print("waiting", flush=True)
                time.sleep(600)
            case "deaf":
                import signal

                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                print("waiting", flush=True)
                time.sleep(600)

    def get_data_module(self):
        return LargeData() if self.trouble == "shared memory" else Data()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    docker: str
    """The command that talks to it."""

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.docker, *words], check=check, capture_output=True, text=True, timeout=120)

    def names(self) -> list[str]:
        """The containers of runs that are there, in whatever state."""
        return [container.name for container in containers(connect())]


@pytest.fixture(scope="session")
def engine(needs: Callable[..., None]) -> Iterator[Engine]:
    """The engine, with innereye-runtime:cpu built from this checkout; no run's container is left on it at the end."""
    needs("docker", "torch")
    docker = building_client()
    engine = Engine(docker=docker)
    if os.geteuid() == 0:
        environment = {**os.environ, "PATH": f"{Path(docker).parent}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([ROOT / "images" / "base"], check=True, env=environment)
    with tempfile.TemporaryFile() as log:
        try:
            build(plan_build(variant="cpu"), output=log.fileno())
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-5000:])
            raise
    yield engine
    with tempfile.TemporaryFile() as log:  # a test may have built one from other code
        build(plan_build(variant="cpu"), output=log.fileno())
    assert engine.names() == []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return trouble_project(tmp_path)


def trouble_project(root: Path, manifest: str = "") -> Project:
    project = tiny_project(root)
    project.write("trouble.py", TROUBLE)
    project.write("trouble.yaml", f"schema: 1\ncontainer: {{class: Trouble, namespaces: [trouble]}}\n{manifest}")
    return project


@dataclass(frozen=True, slots=True)
class Somebody(Project):
    """A project of a user who is not root, and who may talk to the engine."""

    def command(self, *words: str) -> list[str]:
        return [*as_somebody(), str(Path(sys.executable).with_name("innereye-run")), *words]


def as_somebody() -> list[str]:
    group = Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).stat().st_gid
    # This checkout may lie where only root can look: the one capability that is left lets it be read.
    one = "+dac_read_search"
    capabilities = [f"--inh-caps=-all,{one}", f"--ambient-caps={one}", f"--bounding-set=-all,{one}"]
    return ["setpriv", f"--reuid={UID}", f"--regid={UID}", f"--groups={group}", *capabilities, "--"]


@pytest.fixture
def somebodys_folder() -> Iterator[Path]:
    """A folder of a user who is not root; pytest's own can be entered by root alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    folder = Path(tempfile.mkdtemp(prefix="somebody-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def owned(project: Project) -> Somebody:
    for path in (project.root, *project.root.rglob("*")):
        os.chown(path, UID, UID)
    return Somebody(project.root)


def files_of(run: Path) -> list[str]:
    """The files of a run folder; the names of TensorBoard's have a time, a host and a process in them."""
    names = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return sorted(name.partition(".tfevents.")[0] for name in names)


def outcome(result: Result) -> tuple[object, ...]:
    """What must be equal wherever a job runs."""
    return result.weights, (result.run / "metrics.json").read_bytes(), files_of(result.run)
