"""A container as users of the InnerEye toolbox wrote them, for Lightning 1, called as one of the shipped examples."""

import json
from pathlib import Path
from typing import Any, Dict, List

import param
import torch
from InnerEye.Azure.azure_config import AzureConfig
from InnerEye.Common.type_annotations import PathOrString
from InnerEye.ML.common import CHECKPOINT_FOLDER, ModelExecutionMode
from InnerEye.ML.deep_learning_config import ARGS_TXT
from InnerEye.ML.lightning_container import InnerEyeInference, LightningContainer
from pytorch_lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset


def read(folder: PathOrString, name: str, scale: float) -> TensorDataset:
    x = torch.tensor([[float(line)] for line in Path(folder, name).read_text().split()])
    return TensorDataset(x, scale * x)


class LungData(LightningDataModule):
    def __init__(self, root: PathOrString, more: PathOrString, batch: int) -> None:
        # Without super().__init__(), as the listing of the toolbox's documentation.
        scale = float(Path(more, "scale.txt").read_text())
        self.rows = {name: read(root, f"{name}.txt", scale) for name in ("train", "val", "test")}
        self.batch = batch

    def prepare_data(self) -> None:
        with open("prepared.txt", "a") as file:
            file.write(f"{self.trainer.global_rank} ")

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows["train"], batch_size=self.batch)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.rows["val"], batch_size=self.batch)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.rows["test"], batch_size=2)


class Line(LightningModule, InnerEyeInference):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.outputs: List[float] = []

    def forward(self, item: Any) -> torch.Tensor:
        return self.weight * item[0]

    def loss(self, item: Any) -> torch.Tensor:
        return ((self(item) - item[1]) ** 2).mean()

    def training_step(self, batch: Any, batch_idx: int) -> Dict[str, torch.Tensor]:
        return {"loss": self.loss(batch)}

    def validation_step(self, batch: Any, batch_idx: int) -> Dict[str, torch.Tensor]:
        return {"val_loss": self.loss(batch)}

    def validation_epoch_end(self, outputs: List[Dict[str, torch.Tensor]]) -> None:
        self.log("val/loss", torch.stack([each["val_loss"] for each in outputs]).mean(), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.125)

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        self.split, self.outputs = dataset_split.value, []

    def inference_step(self, item: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        self.outputs += model_output.flatten().tolist()

    def on_inference_epoch_end(self) -> None:
        Path(f"{self.split}.txt").write_text("\n".join(map(repr, self.outputs)))


class HelloContainer(LightningContainer):
    ranks = param.Integer(1, bounds=(1, 2), doc="Processes that train.")

    def __init__(self) -> None:
        super().__init__()
        self.num_epochs = 2
        self.local_dataset = Path("data/lungs")
        self.azure_dataset_id = "lungs"
        self.extra_local_dataset_paths = [Path("data/more")]
        self.extra_azure_dataset_ids = ["lungs-more"]
        self.structures = ["left", "right"]

    def create_model(self) -> LightningModule:
        return Line()

    def get_data_module(self) -> LightningDataModule:
        return LungData(self.local_dataset, self.extra_local_dataset_paths[0], batch=4 // self.ranks)

    def get_trainer_arguments(self) -> Dict[str, Any]:
        several = {"devices": self.ranks, "strategy": "ddp"} if self.ranks > 1 else {}
        return {"accelerator": "cpu", "progress_bar_refresh_rate": 0, **several}

    def before_training_on_global_rank_zero(self) -> None:
        facts = {
            "arguments": (self.outputs_folder / ARGS_TXT).is_file(),
            "checkpoint": str(self.get_path_to_checkpoint().relative_to(self.outputs_folder / CHECKPOINT_FOLDER)),
            "nodes": self.num_nodes,
            "gpus": self.num_gpus_per_node(),
            "in azure": not self.is_offline_run,
            "datasets": [str(path) for path in self.all_local_dataset_paths()],
        }
        Path("facts.json").write_text(json.dumps(facts))

    def create_report(self) -> None:
        Path("numbers.csv").write_text(f"weight\n{self.model.weight.item()}\n")

    def update_azure_config(self, azure_config: AzureConfig) -> None:
        azure_config.tag = "of the class"
