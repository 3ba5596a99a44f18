"""A first container: is a breast mass malignant? A small network on the Wisconsin table, trained in seconds.

A container brings together what a run needs: parameters, a model and its data. Everything else -- the run folder,
checkpoints, the choice of the best one, the report -- is the runtime's. The manifest is manifests/hello.yaml.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import param
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import LightningContainer, LightningModuleWithOptimizer, add_curve


class HelloContainer(LightningContainer):
    """Is a breast mass malignant? A small network on the Wisconsin table.

    Each parameter declared here is a key of `container.args` in the manifest and an option: `--num_layers=7`.
    """

    num_layers = param.Integer(default=2, bounds=(1, 20), doc="Hidden layers of the network.")
    width = param.Integer(default=32, bounds=(1, None), doc="Neurons in each hidden layer.")
    batch_size = param.Integer(default=32, bounds=(2, 300), doc="Patients in a training batch.")

    def __init__(self) -> None:
        super().__init__(num_epochs=20, l_rate=1e-2)

    def create_model(self) -> HelloModel:
        return HelloModel(num_layers=self.num_layers, width=self.width)

    def get_data_module(self) -> HelloData:
        # The dataset of the manifest; it is there before anything of this class is called.
        assert self.local_dataset is not None
        return HelloData(
            self.local_dataset / "breast_cancer.csv",
            batch_size=self.batch_size,
            folds=self.number_of_cross_validation_splits,
            fold=self.cross_validation_split_index,
        )


class HelloModel(LightningModuleWithOptimizer):
    """A multi-layer perceptron from 30 features to the logit of malignancy.

    Optimizer and schedule come from the container's parameters: `l_rate`, `optimizer_type`, `l_rate_scheduler`, ...
    """

    def __init__(self, num_layers: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in [30] + [width] * (num_layers - 1):
            layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))
        self.test_outputs: list[tuple[Tensor, Tensor]] = []

    def forward(self, features: Tensor) -> Tensor:
        """Logits of malignancy, one for each row of `features` (rows x 30)."""
        logits: Tensor = self.layers(features)
        return logits.squeeze(1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        features, malignant = batch
        loss = functional.binary_cross_entropy_with_logits(self(features), malignant)
        # What is logged stands in metrics.csv and in the report; names that differ in the split alone share a chart.
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        features, malignant = batch
        logits = self(features)
        # The best checkpoint is the one with the lowest val/loss, unless `checkpoint_monitor` names another metric.
        self.log("val/loss", functional.binary_cross_entropy_with_logits(logits, malignant))
        self.log("val/accuracy", accuracy(logits, malignant))

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        """Called after training, with the best checkpoint."""
        features, malignant = batch
        self.test_outputs.append((self(features).cpu(), malignant.cpu()))

    def on_test_epoch_end(self) -> None:
        logits, malignant = (torch.cat(each) for each in zip(*self.test_outputs, strict=True))
        self.test_outputs.clear()
        false_positives, true_positives = roc(logits, malignant)
        auc = float(torch.trapezoid(true_positives, false_positives))
        self.log("test/accuracy", accuracy(logits, malignant))
        self.log("test/auc", auc)
        add_curve(
            false_positives,
            true_positives,
            "ROC on the test split",
            f"Malignant against benign, {len(malignant)} patients, area under the curve {auc:.3f}. Dashed: chance.",
            x_label="false positive rate",
            y_label="true positive rate",
            guide=((0, 1), (0, 1)),
        )


class HelloData(LightningDataModule):
    """Of each diagnosis every fifth patient is for testing, the next for validation, the other three for training.

    So the splits hold both diagnoses in equal shares, and are the same in every run. Features are scaled to mean 0 and
    deviation 1 of the training patients. In cross-validation the patients for testing stay the same, and the others are
    dealt into `folds`, of which one is for validation.
    """

    def __init__(self, file: Path, batch_size: int, folds: int = 0, fold: int = -1) -> None:
        super().__init__()
        self.file = file
        self.batch_size = batch_size
        self.folds = folds
        self.fold = fold
        self.splits: dict[str, TensorDataset] = {}

    def setup(self, stage: str) -> None:
        features, malignant = read_table(self.file)
        split = np.empty(len(malignant), dtype="<U5")
        for diagnosis in (0, 1):
            members = np.flatnonzero(malignant == diagnosis)
            split[members] = np.array(["test", "val", "train", "train", "train"])[np.arange(len(members)) % 5]
            if self.folds and self.fold >= 0:
                others = members[split[members] != "test"]
                split[others] = np.where(np.arange(len(others)) % self.folds == self.fold, "val", "train")
        training = features[split == "train"]
        scaled = (features - training.mean(axis=0)) / training.std(axis=0)
        for name in ("train", "val", "test"):
            chosen = split == name
            self.splits[name] = TensorDataset(
                torch.tensor(scaled[chosen], dtype=torch.float32), torch.tensor(malignant[chosen], dtype=torch.float32)
            )

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["train"], batch_size=self.batch_size, shuffle=True, drop_last=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["val"], batch_size=len(self.splits["val"]))

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.splits["test"], batch_size=len(self.splits["test"]))


def read_table(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features (patients x 30) and diagnoses (1 where malignant) in the order of the table."""
    with file.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    malignant = np.array([int(row.pop("diagnosis") == "malignant") for row in rows])
    return np.array([[float(value) for value in row.values()] for row in rows]), malignant


def accuracy(logits: Tensor, malignant: Tensor) -> Tensor:
    """The share of patients on the right side of probability 0.5."""
    return ((logits > 0) == (malignant > 0.5)).float().mean()


def roc(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """False and true positive rates from (0, 0) to (1, 1), with a point for each distinct score."""
    order = scores.argsort(descending=True)
    scores, positive = scores[order], positive[order]
    last_of_equals = torch.cat([scores[1:] != scores[:-1], torch.tensor([True])])
    found = positive.cumsum(0)[last_of_equals]
    missed = (1 - positive).cumsum(0)[last_of_equals]
    start = torch.zeros(1)
    return torch.cat([start, missed / missed[-1]]), torch.cat([start, found / found[-1]])
