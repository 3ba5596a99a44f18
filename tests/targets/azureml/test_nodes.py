"""A job on two nodes: the processes train one model together, each on its share of every batch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.projects import Project, Result
from tests.targets.azureml.conftest import MANIFEST, azure, newest

pytestmark = pytest.mark.usefixtures("image")

CONTAINER = '''\
"""Plain gradient descent without noise: what a step does depends on nothing but the rows that its gradient is of."""

import json
import os
import socket
from pathlib import Path

import param
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import LightningContainer

VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "NODE_RANK", "RANK", "LOCAL_RANK")


class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return torch.nn.functional.mse_loss(self.layer(x), y)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def on_train_end(self):
        added = torch.tensor([self.trainer.global_rank + 1.0])
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(added)
        report = {
            "weights": [value for parameter in self.parameters() for value in parameter.flatten().tolist()],
            "steps": self.trainer.global_step,
            "world": self.trainer.world_size,
            "ranks_added": added.item(),
            "host": socket.gethostname(),
            "variables": {name: os.environ.get(name) for name in VARIABLES},
        }
        Path(f"rank{self.trainer.global_rank}.json").write_text(json.dumps(report))


class Data(pl.LightningDataModule):
    def __init__(self, rows):
        super().__init__()
        self.rows = rows
        draw = torch.Generator().manual_seed(0)
        self.table = TensorDataset(torch.randn(16, 3, generator=draw), torch.randn(16, 1, generator=draw))

    def train_dataloader(self):
        return DataLoader(self.table, batch_size=self.rows)


class Tiny(LightningContainer):
    rows = param.Integer(default=8, doc="Of a batch of one process.")

    def __init__(self):
        super().__init__()
        self.num_epochs = 5

    def create_model(self):
        return Line()

    def get_data_module(self):
        return Data(self.rows)
'''


def weights(result: Result) -> list[float]:
    found: list[float] = reports(result)[0]["weights"]
    return found


def reports(result: Result) -> list[dict[str, Any]]:
    """What each rank wrote at the end of training."""
    return [json.loads(path.read_text()) for path in sorted(result.run.glob("rank*.json"))]


def test_two_nodes_train_one_model_with_the_mean_of_their_gradients(project: Project, cloud: Any) -> None:
    project.write("tiny.py", CONTAINER)
    project.write("alone.yaml", MANIFEST)
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n"))
    result = azure(project, cloud, "--rows=8")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert result.record["state"] == "completed"
    job = newest(cloud)
    assert job.properties["distribution"] == {"distributionType": "PyTorch", "processCountPerInstance": 1}
    logs = [blob.name for blob in cloud.workspace.blobs.get_container_client("azureml").list_blobs(job.artifact_prefix)]
    assert {name.rsplit("/", 1)[1] for name in logs if "user_logs" in name} == {
        "std_log_process_0.txt",
        "std_log_process_1.txt",
    }
    first, second = reports(result)
    assert [report["variables"] for report in (first, second)] == [
        {
            "MASTER_ADDR": first["host"],
            "MASTER_PORT": "6105",
            "WORLD_SIZE": "2",
            "NODE_RANK": str(rank),
            "RANK": str(rank),
            "LOCAL_RANK": "0",
        }
        for rank in (0, 1)
    ]
    assert first["host"] != second["host"]
    assert [(report["world"], report["ranks_added"], report["steps"]) for report in (first, second)] == [(2, 3, 5)] * 2
    assert first["weights"] == second["weights"]

    # Each step's gradient is the mean over both shares of 8 rows: that of one process over all 16.
    whole = project.run("alone.yaml", "--rows=16")
    assert whole.exit_code == 0, whole.stderr
    assert reports(whole)[0]["steps"] == 5
    assert first["weights"] == pytest.approx(weights(whole), rel=1e-5, abs=1e-6)
    # A process that trains by itself on batches of 8 ends elsewhere.
    half = project.run("alone.yaml", "--rows=8")
    assert reports(half)[0]["steps"] == 10
    assert first["weights"] != pytest.approx(weights(half), rel=1e-2)


def test_a_job_of_two_nodes_ends_with_the_failure_of_the_one_that_failed(project: Project, cloud: Any) -> None:
    step = "    def training_step(self, batch, batch_idx):\n"
    failing = "        if self.global_rank == 1 and self.current_epoch == 2:\n            raise SystemExit(42)\n"
    project.write("tiny.py", CONTAINER.replace(step, step + failing))
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n"))
    result = azure(project, cloud)
    assert result.exit_code == 42, result.stdout + result.stderr
    assert result.record["reason"] == "rank 1: the user's code exited with 42"


def test_processes_of_two_nodes_are_ranks_and_one_that_is_killed_is_the_cause(project: Project, cloud: Any) -> None:
    project.write("tiny.py", CONTAINER)
    project.write("tiny.yaml", MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n  processes: 2\n"))
    here = project.run("tiny.yaml")
    there = azure(project, cloud)
    assert there.exit_code == 0, there.stdout + there.stderr
    assert newest(cloud).properties["distribution"] == {"distributionType": "PyTorch", "processCountPerInstance": 2}
    assert weights(there) == weights(here)
    assert [report["world"] for report in reports(there)] == [4] * 4

    step = "    def training_step(self, batch, batch_idx):\n"
    killed = "        if self.global_rank == 1 and self.current_epoch == 2:\n            os.kill(os.getpid(), 9)\n"
    project.write("tiny.py", CONTAINER.replace(step, step + killed))
    result = azure(project, cloud)
    assert result.exit_code == 137, result.stdout + result.stderr
    assert result.record["reason"].startswith("rank 1: killed (SIGKILL)")
