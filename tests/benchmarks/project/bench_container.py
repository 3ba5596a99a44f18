"""The model of the benchmark as a container."""

from __future__ import annotations

import pytorch_lightning as pl
from bench_model import Net, Points

from innereye_runtime import LightningContainer


class BenchContainer(LightningContainer):
    def create_model(self) -> pl.LightningModule:
        return Net()

    def get_data_module(self) -> pl.LightningDataModule:
        return Points()
