"""A model with nothing to learn, on a data module of another package, with what `setup` fetches into the run folder."""

import shutil
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule, LightningModule

from InnerEye.ML.common import ModelExecutionMode
from InnerEye.ML.lightning_container import InnerEyeInference, LightningContainer, LightningModuleWithOptimizer

from ._common import Line


class Theirs(LightningDataModule):
    """Stands for a data module that was written without any thought of containers: its loaders take what they like."""

    def __init__(self, data_path: Path, *, batch_size: int = 2, **kwargs: Any) -> None:
        super().__init__()
        assert data_path.is_file()
        self.line = Line(rows=8, batch_size=batch_size)

    def train_dataloader(self) -> Any:
        return self.line.train_dataloader()

    def val_dataloader(self) -> Any:
        return self.line.val_dataloader()

    def test_dataloader(self) -> Any:
        return self.line.test_dataloader()


class Same(LightningModuleWithOptimizer, InnerEyeInference):
    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return (self.unused * 0).sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=self.optimizer_params.l_rate)

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        self.split = dataset_split.value

    def inference_step(self, batch: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        assert torch.equal(model_output, batch[0]) and not torch.is_grad_enabled() and not self.training
        with Path(f"{self.split}.txt").open("a") as file:
            file.write(f"{batch_idx}\n")


class PassThrough(LightningContainer):
    def __init__(self) -> None:
        super().__init__(num_epochs=2, inference_on_train_set=False, inference_forward="first")

    def setup(self) -> None:
        shutil.copy(__file__, "fetched.txt")

    def create_model(self) -> LightningModule:
        return Same()

    def get_data_module(self) -> LightningDataModule:
        return Theirs(data_path=Path("fetched.txt"), mask_type="random")
