"""What public code takes for granted of its surroundings, by real processes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.projects import Project

CONTAINER = """\
import param
import pytorch_lightning as pl
import torch
from pytorch_lightning.metrics import MeanAbsoluteError  # a name of Lightning 1
from torch.utils.data import DataLoader, Dataset

from InnerEye.ML.lightning_container import LightningContainer
from InnerEye.ML.own_items import items


class Items(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        from pytorch_lightning.metrics.functional import mean_absolute_error

        from InnerEye.Common import fixed_paths

        return items()[index] + 0 * mean_absolute_error(torch.ones(1), torch.ones(1))


class Data(pl.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Items(), batch_size=4, num_workers=1, multiprocessing_context="spawn")


class Net(pl.LightningModule):
    def __init__(self, act):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(2, 1), act())

    def training_step(self, batch, batch_idx, optimizer_idx=0):
        return self.layers(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Lungs(LightningContainer):
    num_epochs = 1
    act = param.Selector(objects={"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}, default=torch.nn.ReLU)
    target = param.String("liver")

    def create_model(self):
        print("act and target:", self.act.__name__, self.target)
        return Net(self.act)

    def get_data_module(self):
        return Data()
"""
ITEMS = "import torch\n\n\ndef items():\n    return torch.eye(8)[:, :2]\n"


def checkout(folder: Path, container: str = CONTAINER) -> Project:
    """A whole checkout of the old toolbox, whose own modules of the shipped names are not to be imported."""
    for package in ("InnerEye", "InnerEye/ML", "InnerEye/ML/configs"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    (folder / "setup.py").touch()
    (folder / "InnerEye/ML/lightning_container.py").write_text("raise RuntimeError('the old one')\n")
    (folder / "InnerEye/ML/own_items.py").write_text(ITEMS)
    (folder / "InnerEye/ML/configs/lungs.py").write_text(container)
    (folder / "m.yaml").write_text("schema: 1\ncontainer: {class: Lungs}\n")
    return Project(folder)


def test_a_class_of_an_old_checkout_trains_with_spawned_workers_and_named_objects(tmp_path: Path) -> None:
    result = checkout(tmp_path).run("m.yaml", "--act=tanh", "--container.target=kidney")
    assert result.exit_code == 0, result.stderr + result.stdout
    assert "act and target: Tanh kidney" in result.stdout
    assert "act = tanh\n" in (result.run / "args.txt").read_text()
    assert result.record["container"]["module"] == "InnerEye.ML.configs.lungs"


def test_an_import_that_fails_leaves_a_record(tmp_path: Path) -> None:
    project = checkout(tmp_path, "import nibabelx\n" + CONTAINER)
    result = project.run("m.yaml")
    assert result.exit_code == 1
    assert result.record["state"] == "failed"
    assert result.record["attempts"][-1]["reason"] == "ModuleNotFoundError: No module named 'nibabelx'"
    console = (result.run / "logs" / "console.log").read_text()
    assert (
        f"hint: 'nibabelx' is imported by {tmp_path}/InnerEye/ML/configs/lungs.py:1; innereye-runtime does" in console
    )


def test_a_broken_package_of_the_runtime_leaves_a_record(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow" / "torchmetrics"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("from numpy import no_such_thing\n")
    result = checkout(tmp_path / "project").run("m.yaml", environment={"PYTHONPATH": str(shadow.parent)})
    assert result.exit_code == 3
    record = json.loads((result.run / "run.json").read_text())
    assert record["exit_code"] == 3 and "training can't import what it needs" in record["attempts"][-1]["reason"]
