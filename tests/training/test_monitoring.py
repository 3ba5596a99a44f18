"""The machine's load and the time that loading takes, as files that a user reads."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from tests.training.models import Model, NoisyData

from innereye_runtime.training.lightning.metrics import MetricsTable
from innereye_runtime.training.lightning.monitoring import LoadingTime, record_load


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


def test_nothing_is_recorded_unasked(tmp_path: Path) -> None:
    with record_load(tmp_path / "load.csv", 0):
        pass
    assert list(tmp_path.iterdir()) == []


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
