"""Trials that start from a process with all imports: the same bits, exit codes and retries as those that start cold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.projects import CONTAINER, tiny_project

from innereye_runtime.sweep.warm_pool import WarmPool

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 2}
compute: {retries: {infrastructure: 1}}
environment: {OMP_NUM_THREADS: "1"}
sweep:
  search_space: {misbehaviour: {values: ["", raise, exit, out of memory once]}}
  objective: {primary_metric: val/loss}
  limits: {max_concurrent_trials: 2}
"""


def test_a_warm_trial_ends_as_a_cold_one_does(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    project = tiny_project(tmp_path, MANIFEST)
    swept = project.run("--json", "tiny.yaml")
    assert swept.exit_code == 0, swept.stderr
    result = json.loads(swept.stdout)
    folder = Path(result["run"])
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [(trial["state"], trial["exit_code"]) for trial in trials] == [
        *(("completed", 0), ("failed", 1), ("failed", 42), ("completed", 0))
    ]
    assert trials[1]["reason"] == "RuntimeError: the data is upside down"
    records = [json.loads((folder / "trials" / name / "run.json").read_text()) for name in ("000", "003")]
    assert [len(record["attempts"]) for record in records] == [1, 2], "one was killed, and retried"
    for log in (folder / "trials" / "000" / "logs" / "console.log", folder / "logs" / "000.log"):
        assert log.read_text().count("Tiny, attempt 1") == 1, "what is logged is there once"

    cold = project.run(str(folder / "trials" / "000" / "manifest.yaml"))
    assert cold.exit_code == 0, cold.stderr
    last = records[0]["checkpoints"]["last"]
    assert last["weights_sha256"] == cold.weights == result["weights_sha256"]
    assert records[0]["metrics"] == cold.record["metrics"]
    compared = project.run("compare", "--json", str(folder / "trials" / "000"), str(cold.run))
    assert (json.loads(compared.stdout)["differences"], json.loads(compared.stdout)["equal"]) == ([], True)


IN_C = """

import ctypes

libc = ctypes.CDLL(None)
libc.fopen.restype = libc.strdup.restype = ctypes.c_void_p
libc.on_exit(libc.dprintf, ctypes.c_void_p(libc.strdup(b"ended")))  # writes to the descriptor of the exit code, 0


class Writes(Tiny):
    def get_trainer_arguments(self):
        libc.fputs(b"written", ctypes.c_void_p(libc.fopen(b"written", b"a")))
        os.dup2(os.open("at_end", os.O_WRONLY | os.O_CREAT), 0)
        return super().get_trainer_arguments()
"""


def test_what_c_code_left_open_is_written_where_a_warm_trial_ends(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    one = MANIFEST.replace("class: Tiny", "class: Writes").replace(", raise, exit, out of memory once", "")
    project = tiny_project(tmp_path, one)
    project.write("tiny.py", CONTAINER + IN_C)
    swept = project.run("--json", "tiny.yaml")
    assert swept.exit_code == 0, swept.stderr
    trial = Path(json.loads(swept.stdout)["run"]) / "trials" / "000"
    assert [(trial / name).read_text() for name in ("written", "at_end")] == ["written", "ended"]


FOUR = ("000", "001", "002", "003")
OF_CLASSES = """\
schema: 1
model: {class: "mine:Net"}
data: {class: "mine:Data", args: {fold: "${fold}", splits: "${splits}", note: "fold ${fold} of ${splits}"}}
trainer: {num_epochs: 1}
sweep:
  search_space: {model.lr: {values: [0.1, 0.01]}}
  objective: {primary_metric: val/loss}
  limits: {max_concurrent_trials: 2}
cross_validation: {splits: 2}
"""
CLASSES = """\
from __future__ import annotations

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset


class Net(pl.LightningModule):
    def __init__(self, lr: float) -> None:
        super().__init__()
        self.lr, self.layer = lr, torch.nn.Linear(4, 1)

    def loss(self, batch):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])

    def training_step(self, batch, batch_idx):
        return self.loss(batch)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.loss(batch))

    def test_step(self, batch, batch_idx):
        self.log("test/first", float(batch[0][0, 0]))
        self.log("test/lr", self.lr)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Data(pl.LightningDataModule):
    def __init__(self, fold: int, splits: int, note: str) -> None:
        super().__init__()
        assert note == f"fold {fold} of {splits}"
        x = torch.arange(60.0).reshape(60, 1).repeat(1, 4) / 60
        table = TensorDataset(x, x.sum(dim=1, keepdim=True))
        self.held_out = Subset(table, range(fold, 60, splits))
        self.rest = Subset(table, [index for index in range(60) if index % splits != fold])

    def train_dataloader(self):
        return DataLoader(self.rest, batch_size=10, shuffle=True)

    def val_dataloader(self):
        return DataLoader(self.held_out, batch_size=60)

    test_dataloader = val_dataloader
"""


def test_folds_and_trials_of_a_model_and_its_data_train_what_they_say(
    tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("torch")
    project = tiny_project(tmp_path, OF_CLASSES)
    project.write("mine.py", CLASSES)
    swept = project.run("--json", "tiny.yaml")
    assert swept.exit_code == 0, swept.stderr
    trials = Path(json.loads(swept.stdout)["run"]) / "trials"
    found = [json.loads((trials / name / "metrics.json").read_text())["test"] for name in FOUR]
    assert [round(one["test/first"] * 60) for one in found] == [0, 1, 0, 1], "the first sample that each fold holds out"
    assert [round(one["test/lr"], 4) for one in found] == [0.1, 0.1, 0.01, 0.01]


def test_a_module_that_starts_threads_is_not_forked(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    project = tiny_project(tmp_path, MANIFEST)
    statement = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    project.write("tiny.py", f"{statement}\n{(tmp_path / 'tiny.py').read_text()}")
    pool = WarmPool(tmp_path / "tiny.yaml", tmp_path, tmp_path / "imports.log", {})
    try:
        while pool.is_importing:
            pool.listen(wait=True)
        assert not pool.is_ready
        assert "starts threads" in pool.refusal
    finally:
        pool.close()


def test_a_pool_that_is_gone_starts_nothing(tmp_path: Path) -> None:
    pool = WarmPool(tmp_path / "none.yaml", tmp_path, tmp_path / "imports.log", {})
    pool._process.kill()
    pool._process.wait()
    while pool.is_importing:
        pool.listen(wait=True)
    assert (pool.is_ready, pool.start("000", [], tmp_path / "log")) == (False, None)
    pool.close()
