"""A container as users of hi-ml wrote them."""

import json
import os
from pathlib import Path
from typing import Any

import param
import torch
from health_azure.utils import is_running_in_azure_ml
from health_ml.experiment_config import ExperimentConfig
from health_ml.lightning_container import LightningContainer
from health_ml.utils import AzureMLProgressBar, BatchTimeCallback, log_on_epoch
from pytorch_lightning import Callback, LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


def rows(x: list[float], scale: float) -> TensorDataset:
    column = torch.tensor(x)[:, None]
    return TensorDataset(column, scale * column)


class LungData(LightningDataModule):
    def __init__(self, folders: list[Path], batch: int, test: list[float] | None = None) -> None:
        super().__init__()
        self.folder, self.batch, self.test = folders[0], batch, test
        self.scale = float((folders[1] / "scale.txt").read_text())

    def prepare_data(self) -> None:
        with open("prepared.txt", "a") as file:
            file.write(f"{self.trainer.global_rank} ")

    def _loader(self, name: str, batch: int) -> DataLoader[Any]:
        x = [float(line) for line in (self.folder / f"{name}.txt").read_text().split()]
        return DataLoader(rows(x, self.scale), batch_size=batch)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader("train", self.batch)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader("val", self.batch)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader("test", 2) if self.test is None else DataLoader(rows(self.test, self.scale))


class Line(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.outputs: list[float] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x

    def loss(self, batch: Any) -> torch.Tensor:
        return ((self(batch[0]) - batch[1]) ** 2).mean()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = self.loss(batch)
        log_on_epoch(self, "train/loss", loss)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        log_on_epoch(self, "val/loss", self.loss(batch))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        log_on_epoch(self, "test/loss", self.loss(batch))
        self.outputs += self(batch[0]).flatten().tolist()

    def on_test_epoch_end(self) -> None:
        Path("Test.txt").write_text("\n".join(map(repr, self.outputs)))
        Path("numbers.csv").write_text(f"weight\n{self.weight.item()}\n")

    def on_run_extra_validation_epoch(self) -> None:
        Path("extra.txt").write_text("asked")

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.125)


class Lungs(LightningContainer):
    ranks = param.Integer(1, bounds=(1, 2), doc="Processes that train.")

    def __init__(self) -> None:
        super().__init__(
            max_epochs=50,
            azure_datasets=["lungs", "lungs-more"],
            local_datasets=[Path("data/lungs"), Path("data/more")],
            run_extra_val_epoch=True,
            monitor_training=True,
            pl_replace_sampler_ddp=True,
            tag="of the class",
            experiment="lungs-of-hi-ml",
        )

    def set_model_variant(self, variant_name: str) -> None:
        self.max_epochs = {"short": 2, "long": 50}[variant_name]

    def create_model(self) -> LightningModule:
        return Line()

    def get_data_module(self) -> LightningDataModule:
        return LungData(self.local_datasets, batch=4 // self.ranks)

    def get_eval_data_module(self) -> LightningDataModule:
        return LungData(self.local_datasets, batch=1, test=[10.0])

    def get_callbacks(self) -> list[Callback]:
        return [AzureMLProgressBar(refresh_rate=50), BatchTimeCallback()]

    def get_trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "cpu", **({"devices": self.ranks, "strategy": "ddp"} if self.ranks > 1 else {})}

    def get_additional_environment_variables(self) -> dict[str, str]:
        return {"LUNGS": "breathe"}

    def get_additional_aml_run_tags(self) -> dict[str, str]:
        return {"ranks": str(self.ranks)}

    def update_experiment_config(self, experiment_config: ExperimentConfig) -> None:
        experiment_config.max_run_duration = "1h"

    def before_training_on_global_rank_zero(self) -> None:
        facts = {
            "nodes": self.num_nodes,
            "gpus": self.num_gpus_per_node(),
            "in azure": is_running_in_azure_ml(),
            "datasets": [str(path) for path in self.local_datasets],
            "variable": os.environ["LUNGS"],
            "experiment": self.effective_experiment_name,
            "folds": [self.crossval_count, self.crossval_index],
            "tests": self.has_custom_test_step(),
        }
        Path("facts.json").write_text(json.dumps(facts))
