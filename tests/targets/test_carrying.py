"""What a user's code carries from epoch to epoch, in real processes that are killed: nothing of it is lost."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.projects import MANIFEST, Project, tiny_project
from tests.targets.test_process import kill_run, wait_for, wait_for_run

TORCHMETRICS = "import numpy as np\nimport torch\nimport torchmetrics\n"

CARRYING = """

class Carried(Data):
    def setup(self, stage):
        self.random = np.random.default_rng(5)

    def train_dataloader(self):
        noisy = NoisyTable(self.table, self.random)
        workers = {"num_workers": self.workers, "persistent_workers": self.workers > 0}
        return DataLoader(noisy, batch_size=8, shuffle=True, **workers)


class NoisyTable(torch.utils.data.Dataset):
    def __init__(self, table, random):
        self.table, self.random = table, random

    def __len__(self):
        return len(self.table)

    def __getitem__(self, index):
        x, y = self.table[index]
        return x + torch.from_numpy(self.random.normal(size=4)).float() + 0.1 * torch.randn(4), y


class Averaging(Model):
    def __init__(self, width, pause):
        super().__init__(width, pause)
        self.mean = torchmetrics.MeanMetric()

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.mean.update(loss.detach())
        self.log("train/now", loss, on_step=True, on_epoch=False)
        return loss

    def on_train_epoch_end(self):
        self.log("train/mean", self.mean.compute())


class Carrying(Tiny):
    workers = param.Integer(default=0)

    def create_model(self):
        return Averaging(self.width, self.pause)

    def get_data_module(self):
        data = Carried()
        data.workers = self.workers
        return data

    def get_callbacks(self):
        return [pl.callbacks.ModelCheckpoint(dirpath=self.checkpoint_folder, monitor="val/loss", save_last=True)]

    def get_trainer_arguments(self):
        return {"max_steps": 21, "max_epochs": -1, "log_every_n_steps": 1, "accumulate_grad_batches": 1}
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_users_code_carries_from_epoch_to_epoch_outlives_a_kill(tmp_path: Path, workers: int) -> None:
    chance = random.Random(workers)

    def project(name: str) -> Project:
        (tmp_path / name).mkdir()
        made = tiny_project(
            tmp_path / name, MANIFEST.replace("class: Tiny", f"class: Carrying, args: {{workers: {workers}}}")
        )
        source = (made.root / "tiny.py").read_text()
        made.write(
            "tiny.py",
            f"{source}{CARRYING}".replace("import torch\n", TORCHMETRICS, 1),
        )
        return made

    unbroken = project("whole").run("tiny.yaml")
    assert unbroken.exit_code == 0, unbroken.stdout + unbroken.stderr
    broken = project("broken")
    launcher = broken.start("tiny.yaml", "--pause=0.05")
    run = wait_for_run(broken.root, launcher)
    wait_for(lambda: len(metrics_rows(run)) > 4, launcher)
    kill_run(launcher, run, after=0)
    launcher = broken.start("resume", str(run))
    wait_for(lambda: (run / "checkpoints" / "last.ckpt").exists(), launcher)
    kill_run(launcher, run, after=chance.uniform(0, 1))
    result = broken.run("resume", str(run))
    assert result.exit_code == 0, result.stdout + result.stderr
    assert result.weights == unbroken.weights
    assert (run / "metrics.csv").read_text() == (unbroken.run / "metrics.csv").read_text()
    assert (run / "metrics.json").read_bytes() == (unbroken.run / "metrics.json").read_bytes()


KILLED_AFTER_TRAINING = """

class Drawing(Model):
    def __init__(self, width, pause):
        super().__init__(width, pause)
        self.random = torch.Generator().manual_seed(3)
        self.mean = torchmetrics.MeanMetric()

    def training_step(self, batch, batch_idx):
        self.mean.update(torch.rand((), generator=self.random))
        return super().training_step(batch, batch_idx)

    def test_step(self, batch, batch_idx):
        super().test_step(batch, batch_idx)
        self.log("test/drawn", torch.rand((), generator=self.random))
        self.log("test/mean", self.mean.compute())
        self.log("test/step", float(self.global_step))


class Drawn(Tiny):
    kill = param.Boolean(default=False)

    def create_model(self):
        return Drawing(self.width, self.pause)

    def get_checkpoint_to_test(self):
        if self.kill and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("until", ["", "trainer: {arguments: {max_steps: 21}, num_epochs: 100}"])
def test_a_run_that_is_killed_between_training_and_evaluation_is_evaluated_as_the_unbroken_one(
    tmp_path: Path, until: str
) -> None:
    project = tiny_project(tmp_path, MANIFEST.replace("class: Tiny", "class: Drawn") + f"{until}\n")
    source = (project.root / "tiny.py").read_text()
    project.write("tiny.py", f"{source}{KILLED_AFTER_TRAINING}".replace("import torch\n", TORCHMETRICS, 1))
    unbroken = project.run("tiny.yaml")
    assert unbroken.exit_code == 0, unbroken.stdout + unbroken.stderr
    result = project.run("tiny.yaml", "--kill=True")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert len(result.record["attempts"]) == 2
    for name in ("metrics.csv", "metrics.json"):
        assert (result.run / name).read_text() == (unbroken.run / name).read_text()


def metrics_rows(run: Path) -> list[str]:
    file = run / "metrics.csv"
    return file.read_text().splitlines() if file.exists() else []
