"""A container in today's style, whose model inherits InnerEyeInference for what it may do one day, and has a
test_step."""

import json
from pathlib import Path
from typing import Any

import param
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import InnerEyeInference, LightningContainer


class LungData(pl.LightningDataModule):
    def __init__(self, folder: Path, more: Path, batch: int) -> None:
        super().__init__()
        self.folder, self.batch, self.scale = folder, batch, float((more / "scale.txt").read_text())

    def prepare_data(self) -> None:
        with Path("prepared.txt").open("a") as file:
            file.write(f"{self.trainer.global_rank} ")

    def loader(self, name: str, batch: int) -> DataLoader[Any]:
        x = torch.tensor([[float(line)] for line in (self.folder / f"{name}.txt").read_text().split()])
        return DataLoader(TensorDataset(x, self.scale * x), batch_size=batch)

    def train_dataloader(self) -> DataLoader[Any]:
        return self.loader("train", self.batch)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.loader("val", self.batch)

    def test_dataloader(self) -> DataLoader[Any]:
        return self.loader("test", 2)


class Line(pl.LightningModule, InnerEyeInference):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.outputs: list[float] = []

    def loss(self, batch: Any) -> torch.Tensor:
        return ((self.weight * batch[0] - batch[1]) ** 2).mean()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.loss(batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", self.loss(batch), sync_dist=True)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/loss", self.loss(batch), sync_dist=True)
        self.outputs += (self.weight * batch[0]).flatten().tolist()

    def on_test_epoch_end(self) -> None:
        Path("Test.txt").write_text("\n".join(map(repr, self.outputs)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.125)


class Lungs(LightningContainer):
    ranks = param.Integer(1, bounds=(1, 2), doc="Processes that train.")
    num_epochs = 2
    azure_dataset_id = "lungs"
    local_dataset = "data/lungs"
    extra_azure_dataset_ids = ["lungs-more"]  # noqa: RUF012
    extra_local_dataset_paths = [Path("data/more")]  # noqa: RUF012

    def create_model(self) -> pl.LightningModule:
        return Line()

    def get_data_module(self) -> pl.LightningDataModule:
        return LungData(self.local_dataset, self.extra_local_dataset_paths[0], batch=4 // self.ranks)

    def get_trainer_arguments(self) -> dict[str, Any]:
        return {"accelerator": "cpu", **({"devices": self.ranks, "strategy": "ddp"} if self.ranks > 1 else {})}

    def before_training_on_global_rank_zero(self) -> None:
        datasets = [str(self.local_dataset), *map(str, self.extra_local_dataset_paths)]
        Path("facts.json").write_text(json.dumps({"nodes": self.num_nodes, "datasets": datasets}))

    def create_report(self) -> None:
        Path("numbers.csv").write_text(f"weight\n{self.model.weight.item()}\n")
