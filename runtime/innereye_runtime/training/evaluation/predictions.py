"""The predict stage's outputs, on disk as they come: `predictions/dataloader_0/batch_00000.pt`, ... in a run folder,
and `predictions/dataloader_0.csv` where they are a table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities import move_data_to_device
from pytorch_lightning.callbacks import Callback

from innereye_runtime.training.evaluation.prediction_table import PredictionTable

FOLDER: Final = "predictions"


class Predictions(Callback):
    """Saves what `predict_step` returned for each batch, by `torch.save`, its tensors on the CPU.

    A step that returns nothing writes its own files, and leaves none here.
    """

    def __init__(self, run_folder: Path) -> None:
        self.batches = 0
        self._folder = run_folder / FOLDER
        self._tables: dict[int, PredictionTable] = {}

    @contextmanager
    def written_by(self, trainer: pl.Trainer) -> Iterator[Self]:
        """Is one of the trainer's callbacks for as long as the block lasts."""
        callbacks: list[Callback] = vars(trainer)["callbacks"]
        callbacks.append(self)
        try:
            yield self
        finally:
            callbacks.remove(self)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self.batches += 1
        if outputs is None:
            return
        place = self._folder / f"dataloader_{dataloader_idx}" / f"batch_{batch_idx:05d}.pt"
        place.parent.mkdir(parents=True, exist_ok=True)
        outputs = move_data_to_device(outputs, torch.device("cpu"))
        torch.save(outputs, place)
        if dataloader_idx not in self._tables:
            self._tables[dataloader_idx] = PredictionTable(place.parent.with_suffix(".csv"))
        self._tables[dataloader_idx].add(outputs)
