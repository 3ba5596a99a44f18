"""Evaluation takes every sample once, on one process: several processes report the numbers of one, to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.projects import Project, Result

CONTAINER = '''\
"""Its test data does not divide into two equal shares, and its batches are large enough for several threads."""

import os
import signal
import time
from pathlib import Path

import param
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

from innereye_runtime import InnerEyeInference, LightningContainer


def loader(rows):
    x = torch.randn(rows, 400, generator=torch.Generator().manual_seed(rows))
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=256)


class Data(pl.LightningDataModule):
    def prepare_data(self):
        with open("prepared.txt", "a") as file:
            file.write(f"{self.trainer.global_rank}\\n")

    def train_dataloader(self):
        return loader(600)

    def val_dataloader(self):
        return loader(300)

    def test_dataloader(self):
        return loader(1301)


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(400, 700), torch.nn.ReLU(), torch.nn.Linear(700, 1))
        self.mean = MeanMetric()
        self.lines = []

    def forward(self, item):
        return self.layers(item[0])

    def loss(self, batch):
        return torch.nn.functional.mse_loss(self(batch), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch), sync_dist=True)

    def test_step(self, batch, batch_idx):
        loss = self.loss(batch)
        self.log("test/loss", loss, sync_dist=True)
        self.mean.update(loss)
        self.log("test/mean", self.mean)
        self.lines.append(repr(loss.item()))

    def on_run_extra_validation_epoch(self):
        with open("extra.txt", "a") as file:
            file.write(os.environ["OMPI_COMM_WORLD_RANK"])

    def on_train_end(self):
        Path(f"pid{self.global_rank}.txt").write_text(str(os.getpid()))

    def on_test_epoch_end(self):
        Path("lines.txt").write_text("\\n".join(self.lines))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-4)


class Killed(Net):
    def test_step(self, batch, batch_idx):
        time.sleep(1)  # the other process waits by now
        os.kill(os.getpid(), signal.SIGKILL)


class Inferring(Net, InnerEyeInference):
    def inference_step(self, batch, batch_idx, model_output):
        self.lines.append(f"{batch_idx} {model_output.sum().item()!r}")

    def on_inference_end(self):
        group = torch.distributed.get_world_size() if torch.distributed.is_initialized() else 0
        Path("group.txt").write_text(f"{group} {self.trainer.world_size}")
        Path("lines.txt").write_text("\\n".join(self.lines))


class Ranks(LightningContainer):
    ranks = param.Integer(2)
    infers = param.Boolean(False)
    dies = param.Boolean(False)
    num_epochs = 1

    def create_model(self):
        return Killed() if self.dies else Inferring() if self.infers else Net()

    def get_data_module(self):
        return Data()

    def get_trainer_arguments(self):
        return {"devices": self.ranks, "accelerator": "cpu", "strategy": "ddp" if self.ranks > 1 else "auto"}
'''
MANIFEST = "schema: 1\ncontainer: {class: Ranks, namespaces: [ranks]}\n"


def evaluated(run: Path) -> tuple[Any, str]:
    return json.loads((run / "metrics.json").read_text())["test"], (run / "lines.txt").read_text()


def run_by_open_mpi(project: Project, *overrides: str) -> Path:
    """A run of two processes, as mpirun would start them on this machine."""
    folder = project.root / "mpi"
    command = [sys.executable, "-m", "innereye_runtime.entrypoint", "ranks.yaml", "--run-folder", str(folder)]
    sizes = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMP_NUM_THREADS": "2"}
    processes = [
        subprocess.Popen(
            [*command, *overrides],
            cwd=project.root,
            env={**os.environ, **sizes, "OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_LOCAL_RANK": rank},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    ends = [(process.communicate(timeout=300)[0], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0], ends
    return folder


def test_two_processes_evaluate_as_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("pyproject.toml", "")
    project.write("ranks.py", CONTAINER)
    project.write("ranks.yaml", MANIFEST)
    threads = {"OMP_NUM_THREADS": "2"}

    # Lightning's launcher shares the cores out where this is not set: the evaluation has all of them again.
    two = project.run("ranks.yaml")
    assert two.exit_code == 0, two.stderr
    assert set((two.run / "prepared.txt").read_text().split()) == {"0"}
    weights = f"--local_weights_path={two.run}/checkpoints/best.ckpt"
    one: Result = project.run("ranks.yaml", "--ranks=1", "--run_inference_only", weights)
    assert one.exit_code == 0, one.stderr
    assert evaluated(two.run) == evaluated(one.run)
    assert sorted(evaluated(one.run)[0]) == ["test/loss", "test/mean"]

    # A launcher's variables around a job of its own are not the job's.
    around = {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NTASKS": "4", "RANK": "1", "LOCAL_RANK": "1"}
    only = ("--run_inference_only", "--infers", weights)
    alone = project.run("ranks.yaml", "--ranks=1", *only, environment=threads | around)
    assert alone.exit_code == 0, alone.stderr
    # The second process takes no part in the extra validation either: it would wait there for the first.
    by_mpi = run_by_open_mpi(project, *only, "--run_extra_val_epoch")
    assert (by_mpi / "extra.txt").read_text() == "0"
    assert evaluated(by_mpi) == evaluated(alone.run)
    assert [(run / "group.txt").read_text() for run in (by_mpi, alone.run)] == ["1 1", "0 1"]
    assert len(evaluated(alone.run)[1].splitlines()) == 3 + 2 + 6


def test_who_waits_for_the_evaluation_ends_with_the_process_that_does_it(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("pyproject.toml", "")
    project.write("ranks.py", CONTAINER)
    project.write("ranks.yaml", MANIFEST + "compute: {retries: {infrastructure: 0}}\n")
    result = project.run("ranks.yaml", "--dies")
    assert (result.exit_code, result.record["state"]) == (137, "failed")
    deadline = time.monotonic() + 20
    while "ranks.yaml" in command_line((result.run / "pid1.txt").read_text()):
        assert time.monotonic() < deadline, "it waits for a process that is gone"
        time.sleep(0.1)


def command_line(pid: str) -> str:
    """That of a process; '' where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
