"""The machine's load and the time that loading takes, as files that a user reads."""

from __future__ import annotations

import csv
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from tests.training.models import Model, NoisyData

from innereye_runtime.training.lightning import gpu_load, monitoring
from innereye_runtime.training.lightning.metrics import MetricsTable
from innereye_runtime.training.lightning.monitoring import LoadingTime, record_load
from innereye_runtime.training.lightning.training_log import TrainingLog


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_load_is_recorded_by_the_clock_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    for _ in range(2):
        with record_load(path, 1):
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                sum(range(10_000))
    rows = read(path)
    assert len(rows) == 2
    assert all(0 < float(row["cpu_percent"]) <= 100 and int(row["memory_used_bytes"]) > 1 << 20 for row in rows)
    assert [row["gpu_percent"] for row in rows] == ["", ""]


def test_nothing_is_recorded_unasked(tmp_path: Path) -> None:
    with record_load(tmp_path / "load.csv", 0):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A trainer on a GPU, of which the driver says one after another what is in `loads`; an error is raised."""
    trainer = SimpleNamespace(
        strategy=SimpleNamespace(root_device=torch.device("cuda", 1)),
        optimizers=[],
        is_global_zero=True,
        is_last_batch=True,
        current_epoch=0,
        global_step=0,
        loads=[],
        seconds=count(),
    )

    def utilization(index: int) -> int:
        assert index == 1
        load = trainer.loads.pop(0)
        if isinstance(load, Exception):
            raise load
        return int(load)

    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 2_500_000_000)
    monkeypatch.setattr(gpu_load.time, "monotonic", lambda: float(next(trainer.seconds)))
    return trainer


def epochs(trainer: Any, path: Path, batches: int) -> list[dict[str, str]]:
    """What the training log has after two epochs, in which a second passes with each look at the clock."""
    log: Any = TrainingLog(path)
    log.on_train_start(trainer, None)
    for trainer.current_epoch in range(2):
        log.on_train_epoch_start(trainer, None)
        for batch in range(batches):
            log.on_train_batch_end(trainer, None, None, None, batch)
        log.on_train_epoch_end(trainer, None)
    return read(path)


def test_the_load_of_the_gpu_is_a_mean_for_each_epoch(cuda: Any, tmp_path: Path) -> None:
    cuda.loads = [90, 95, *[40] * 20]
    rows = epochs(cuda, tmp_path / "training.csv", 2)
    assert [(row["gpu_memory_gb"], row["gpu_load_percent"]) for row in rows] == [("2.5", "92.5"), ("2.5", "40.0")]


@pytest.mark.parametrize("error", [ModuleNotFoundError("nvidia-ml-py"), RuntimeError("driver"), OSError("NVML")])
def test_a_load_that_cannot_be_read_is_left_out_and_asked_for_once(cuda: Any, tmp_path: Path, error: Exception) -> None:
    cuda.loads = [error]  # a second look would find the list empty
    rows = epochs(cuda, tmp_path / "training.csv", 3)
    assert [(row["gpu_memory_gb"], row["gpu_load_percent"]) for row in rows] == [("2.5", ""), ("2.5", "")]


def test_the_load_by_the_clock_is_that_of_the_gpus_that_show_one(cuda: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = {0: 30.0, 1: None, 2: 61.0}
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(monitoring, "gpu_load", loads.get)
    assert monitoring._gpu_percent() == 45.5


class Slow(NoisyData):
    def train_dataloader(self) -> Any:
        def collate(items: list[tuple[torch.Tensor, torch.Tensor]]) -> Any:
            time.sleep(0.02)
            return torch.utils.data.default_collate(items)

        loader = super().train_dataloader()
        return torch.utils.data.DataLoader(loader.dataset, batch_size=4, collate_fn=collate)


@pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals
def test_the_time_that_loading_takes(tmp_path: Path) -> None:
    table = MetricsTable(tmp_path / "metrics.csv")
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        default_root_dir=str(tmp_path),
        logger=table,
        callbacks=[LoadingTime()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(Model(), datamodule=Slow())
    rows = [row for row in read(tmp_path / "metrics.csv") if row["timing/train/loading_seconds"]]
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["timing/train/loading_seconds"]) >= 5 * 0.02 for row in rows)
    assert all(0 < float(row["timing/train/loading_fraction"]) < 1 for row in rows)
    assert not [name for name in trainer.callback_metrics if name.startswith("timing")]
