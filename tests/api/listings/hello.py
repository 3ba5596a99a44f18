"""A regression on a text file, with five-fold cross-validation and inference of its own: the old imports only."""

from pathlib import Path
from typing import Any, List, Tuple  # noqa: UP035

import numpy as np
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset

from InnerEye.Common import fixed_paths
from InnerEye.ML.common import ModelExecutionMode
from InnerEye.ML.lightning_container import InnerEyeInference, LightningContainer


def _table(seed: int, rows: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(rows, 3, generator=generator)
    return TensorDataset(x, x.sum(dim=1, keepdim=True))


class HelloData(LightningDataModule):
    def __init__(self, root_folder: Path, splits: int = 0, split_index: int = -1) -> None:
        super().__init__()
        self.root_folder = root_folder
        rows = np.arange(60)
        held_out = rows % 3 == 0 if splits <= 1 else rows % splits == split_index
        table = _table(0, 60)
        self.train = torch.utils.data.Subset(table, rows[~held_out].tolist())
        self.val = torch.utils.data.Subset(table, rows[held_out].tolist())
        self.test = _table(1, 20)

    def train_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return DataLoader(self.train, batch_size=5)

    def val_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return DataLoader(self.val, batch_size=5)

    def test_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        return DataLoader(self.test, batch_size=5)


class HelloModel(LightningModule, InnerEyeInference):
    def __init__(self, hidden: int = 8) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))
        self.errors: List[torch.Tensor] = []  # noqa: UP006

    def forward(self, item: Any) -> torch.Tensor:
        return self.layers(item[0])

    def _loss(self, batch: Any, name: str) -> torch.Tensor:
        loss = torch.nn.functional.mse_loss(self.forward(batch), batch[1])
        self.log(name, loss, on_epoch=True, on_step=False)
        return loss

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self._loss(batch, "loss")

    def validation_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self._loss(batch, "val_loss")

    def configure_optimizers(self) -> Tuple[List[Any], List[Any]]:  # noqa: UP006
        optimizer = torch.optim.Adam(self.parameters(), lr=1e-2)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 20, 0.5)]

    def on_inference_start(self) -> None:
        Path("errors.csv").write_text("split,batch,error\n")

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        self.split = dataset_split
        self.errors = []

    def inference_step(self, batch: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        error = torch.nn.functional.mse_loss(model_output, batch[1])
        self.errors.append(error)
        with Path("errors.csv").open("a") as file:
            file.write(f"{self.split.value},{batch_idx},{error.item()}\n")

    def on_inference_epoch_end(self) -> None:
        Path(f"error_{self.split.value}.txt").write_text(str(torch.stack(self.errors).mean().item()))


class Hello(LightningContainer):
    def __init__(self) -> None:
        super().__init__(
            azure_dataset_id="hello",
            local_dataset=fixed_paths.repository_root_directory() / "data" / "hello",
            num_epochs=20,
        )

    def create_model(self) -> LightningModule:
        return HelloModel()

    def get_data_module(self) -> LightningDataModule:
        assert self.local_dataset is not None
        return HelloData(self.local_dataset, self.number_of_cross_validation_splits, self.cross_validation_split_index)

    def create_report(self) -> None:
        Path("report.txt").write_text(Path("error_Test.txt").read_text())
