"""A step's metrics are in metrics.csv for every epoch, however few steps it has."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from innereye_runtime.training.lightning.epoch_logging import EnsureEpochLogging
from innereye_runtime.training.lightning.metrics import MetricsTable


class Model(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss = self.layer(batch).mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.parametrize(
    ("batches", "arguments", "rows"),
    [
        (3, {}, 4),
        (3, {"accumulate_grad_batches": 2}, 4),
        (3, {"log_every_n_steps": 0}, 0),
        (8, {"log_every_n_steps": 2}, 16),
    ],
)
def test_a_small_epoch_is_logged(tmp_path: Path, batches: int, arguments: dict[str, Any], rows: int) -> None:
    table = tmp_path / "metrics.csv"
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=4,
        logger=MetricsTable(table),
        callbacks=[EnsureEpochLogging()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **arguments,
    )
    trainer.fit(Model(), DataLoader(torch.ones(batches, 1)))
    found = list(csv.DictReader(table.open())) if table.exists() else []
    assert len([row for row in found if row.get("train/loss")]) == rows
