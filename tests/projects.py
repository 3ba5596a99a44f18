"""A user's project in a folder: a container class, a manifest, and `innereye-run` on it as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTAINER = '''\
"""A container that trains in no time, with all that a restart could lose: dropout, shuffling, a scheduler, noise."""

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


class Model(pl.LightningModule):
    def __init__(self, width, pause):
        super().__init__()
        self.pause = pause
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(width, 1)
        )

    def loss(self, batch):
        x, y = batch
        return torch.nn.functional.mse_loss(self.layers(x), y)

    def training_step(self, batch, batch_idx):
        time.sleep(self.pause)
        x, y = batch
        loss = self.loss((x + 0.1 * torch.randn_like(x), y))
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test/loss", self.loss(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)]


class Data(pl.LightningDataModule):
    def __init__(self):
        super().__init__()
        x = torch.randn(48, 4, generator=torch.Generator().manual_seed(0))
        self.table = TensorDataset(x, x.sum(dim=1, keepdim=True))

    def train_dataloader(self):
        return DataLoader(self.table, batch_size=8, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.table, batch_size=8)

    def test_dataloader(self):
        return DataLoader(self.table, batch_size=8)


class Tiny(LightningContainer):
    width = param.Integer(default=8, bounds=(1, 64), doc="Of the hidden layer.")
    pause = param.Number(default=0.0, bounds=(0, None), doc="Seconds that a training step takes longer.")
    misbehaviour = param.String(default="", doc="What goes wrong, and where.")

    def __init__(self):
        super().__init__()
        self.num_epochs = 4

    def setup(self):
        self.note("setup")
        match self.misbehaviour:
            case "raise":
                raise RuntimeError("the data is upside down")
            case "exit":
                sys.exit(42)
            case "exit quietly":
                sys.exit(0)
            case "out of memory once" if not Path("second").exists():
                Path("second").touch()
                os.kill(os.getpid(), signal.SIGKILL)

    def create_model(self):
        self.note("create_model")
        return Model(self.width, self.pause)

    def get_data_module(self):
        self.note("get_data_module")
        return Data()

    def before_training_on_global_rank_zero(self):
        self.note("global_rank_zero")

    def before_training_on_local_rank_zero(self):
        self.note("local_rank_zero")

    def before_training_on_all_ranks(self):
        self.note("all_ranks")

    def create_report(self):
        self.note("create_report")
        Path("report.txt").write_text("all is well")

    def note(self, step):
        with open("order.txt", "a") as file:
            file.write(f"{step} {os.getcwd()}\\n")
'''

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def run(self) -> Path:
        """The run folder: the last line of standard output."""
        return Path(self.stdout.splitlines()[-1])

    @property
    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads((self.run / "run.json").read_text())
        return record

    @property
    def weights(self) -> str:
        weights: str = self.record["checkpoints"]["last"]["weights_sha256"]
        return weights


@dataclass(frozen=True, slots=True)
class Project:
    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("innereye-run")), *words]

    def run(self, *words: str, environment: dict[str, str] | None = None) -> Result:
        done = subprocess.run(
            self.command(*words),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=600,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )
        return Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def start(self, *words: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
        )


def tiny_project(root: Path, manifest: str = MANIFEST) -> Project:
    project = Project(root)
    project.write("pyproject.toml", "")
    project.write("tiny.py", CONTAINER)
    project.write("tiny.yaml", manifest)
    return project
