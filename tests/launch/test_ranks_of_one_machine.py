"""Several processes train one model on this machine; one that dies takes the job down, and its cause is the job's."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, Result

CONTAINER = '''\
"""A linear model on a fixed global batch: what a step does depends on how many ranks there are, and not on where."""

import os
import signal
import sys
import time
from pathlib import Path

import param
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import LightningContainer


class Line(pl.LightningModule):
    def __init__(self, way, busy=False):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.way, self.busy = way, busy

    def training_step(self, batch, batch_idx):
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.log("test/loss", torch.nn.functional.mse_loss(self.layer(x), y))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_start(self):
        names = ("RANK", "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")
        Path(f"variables{self.global_rank}.txt").write_text(" ".join(os.environ.get(name, "-") for name in names))
        Path(f"pid{self.global_rank}.txt").write_text(str(os.getpid()))
        print(f"rank {self.global_rank} is here")

    def on_train_epoch_start(self):
        if self.current_epoch == 1 and self.way:
            rank, _, way = self.way.partition(" ")
            if way == "wait_once" and Path(f"waited{self.global_rank}").exists():
                return
            Path(f"waited{self.global_rank}").touch()
            if rank == str(self.global_rank):
                Path("dying").touch()
                getattr(self, way)()
            if not self.busy:  # else it waits in a collective call
                time.sleep(60)  # in none: it would not notice

    def raise_an_error(self):
        raise RuntimeError("the left half is missing")

    def be_killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave(self):
        os._exit(7)

    def ask_for_too_much_memory(self):
        bytearray(1 << 60)

    def fill_the_memory(self):
        held = []
        while True:
            held.append(bytearray(os.urandom(1 << 20) * 32))

    def wait_once(self):
        time.sleep(60)


class Data(pl.LightningDataModule):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows
        draw = torch.Generator().manual_seed(0)
        self.table = TensorDataset(torch.randn(16, 3, generator=draw), torch.randn(16, 1, generator=draw))

    def train_dataloader(self):
        return DataLoader(self.table, batch_size=self.rows)

    def test_dataloader(self):
        return DataLoader(self.table, batch_size=5)


class Several(LightningContainer):
    rows = param.Integer(default=16, doc="Of a batch of one process.")
    way = param.String(default="", doc="RANK WAY: which rank fails, and how.")
    busy = param.Boolean(default=False, doc="The others train on, until they need the rank that fails.")
    alone = param.Boolean(default=False, doc="Takes one device, whatever was started.")
    num_epochs = 4

    def setup(self):
        self.note("setup")

    def create_model(self):
        return Line(self.way, self.busy)

    def get_data_module(self):
        return Data(self.rows)

    def get_trainer_arguments(self):
        return {"devices": 1, "num_nodes": 1, "strategy": "auto"} if self.alone else {}

    def before_training_on_global_rank_zero(self):
        self.note("global_rank_zero")

    def before_training_on_local_rank_zero(self):
        self.note("local_rank_zero")

    def before_training_on_all_ranks(self):
        self.note("all_ranks")

    def note(self, step):
        with open("order.txt", "a") as file:
            file.write(f"{step}\\n")
'''
MANIFEST = "schema: 1\ncontainer: {class: Several, namespaces: [several]}\n"
KILLED = "killed (SIGKILL): most likely out of memory; use a smaller batch or fewer workers"
COMPUTE = "compute: {retries: {preempted: 0, infrastructure: 0}, "


def several_project(root: Path, compute: str) -> Project:
    project = Project(root)
    project.write("pyproject.toml", "")
    project.write("several.py", CONTAINER)
    project.write("several.yaml", f"{MANIFEST}{COMPUTE}{compute}}}\n")
    return project


def steps(result: Result) -> dict[str, int]:
    lines = (result.run / "order.txt").read_text().split()
    return {name: lines.count(name) for name in dict.fromkeys(lines)}


def metrics(result: Result) -> Any:
    return json.loads((result.run / "metrics.json").read_text())["test"]


def test_one_model_is_trained_whatever_nodes_and_processes_it_has(tmp_path: Path) -> None:
    project = several_project(tmp_path, "nodes: 1")
    one = project.run("several.yaml")
    two = several_project(tmp_path, "processes: 2").run("several.yaml", "--rows=8")
    apart = several_project(tmp_path, "nodes: 2").run("several.yaml", "--rows=8")
    four = several_project(tmp_path, "processes: 4").run("several.yaml", "--rows=4")
    square = several_project(tmp_path, "nodes: 2, processes: 2").run("several.yaml", "--rows=4")
    all_of_them = (one, two, apart, four, square)
    assert [result.exit_code for result in all_of_them] == [0] * 5, [result.stderr for result in all_of_them]
    assert (two.weights, four.weights) == (apart.weights, square.weights)
    for several in (two, four):  # the same mean of gradients, in another order
        assert metrics(several) == pytest.approx(metrics(one), rel=1e-5)
    assert steps(two) == {"setup": 2, "global_rank_zero": 1, "local_rank_zero": 1, "all_ranks": 2}
    assert steps(apart) == {"setup": 2, "global_rank_zero": 1, "local_rank_zero": 2, "all_ranks": 2}
    assert [(two.run / f"variables{rank}.txt").read_text() for rank in (0, 1)] == ["0 0 0 2 2", "1 1 0 2 2"]
    assert [(apart.run / f"variables{rank}.txt").read_text() for rank in (0, 1)] == ["0 0 0 2 1", "1 0 1 2 1"]
    # One console, and the log of each rank.
    assert "rank 0 is here" in two.stdout
    assert "rank 1 is here" not in two.stdout
    logs = two.run / "logs"
    assert (logs / "console.log").read_bytes() == (logs / "rank-0.log").read_bytes()
    assert "rank 1 is here" in (logs / "rank-1.log").read_text()
    assert len(two.record["attempts"]) == 1


def test_a_stop_reaches_every_rank_and_a_killed_launcher_leaves_none(tmp_path: Path) -> None:
    project = several_project(tmp_path, "processes: 2")
    launcher = project.start("several.yaml", "--way=0 wait_once")
    run = run_of(project, launcher)
    wait_until(lambda: (run / "pid1.txt").exists() and (run / "checkpoints" / "last.ckpt").exists(), 60)
    launcher.send_signal(signal.SIGTERM)
    output = launcher.communicate(timeout=40)
    record = json.loads((run / "run.json").read_text())
    assert (launcher.returncode, record["state"]) == (143, "stopped"), output
    (run / "waited0").unlink()
    resumed = project.start("resume", str(run))
    wait_until(lambda: len(json.loads((run / "run.json").read_text())["attempts"]) == 2, 60)
    wait_until(lambda: alive(run / "pid0.txt") and alive(run / "pid1.txt"), 60)
    (child,) = Path(f"/proc/{resumed.pid}/task/{resumed.pid}/children").read_text().split()
    resumed.kill()
    os.kill(int(child), signal.SIGKILL)
    wait_until(lambda: not alive(run / "pid0.txt") and not alive(run / "pid1.txt"), 10)
    resumed.communicate()


def test_more_processes_than_the_trainer_has_are_refused(tmp_path: Path) -> None:
    result = several_project(tmp_path, "processes: 2").run("several.yaml", "--alone")
    assert result.exit_code == 2
    assert "one of 2, and the trainer has 1" in result.record["reason"]
    assert "write 'processes: 1'" in result.stdout + result.stderr


def run_of(project: Project, launcher: Any) -> Path:
    def runs() -> list[Path]:
        return sorted(project.root.glob("outputs/*/run.json"))

    wait_until(lambda: bool(runs()) or launcher.poll() is not None, 60)
    return runs()[0].parent


def wait_until(condition: Any, seconds: float) -> float:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return time.monotonic()


def alive(file: Path) -> bool:
    """True too where the process has not written its number yet."""
    if not file.exists() or not file.read_text():
        return True
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
