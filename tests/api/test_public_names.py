"""The names that users import from `innereye_runtime`: the same to Python, to `import *` and to a type checker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import innereye_runtime

CONTAINER = """\
from pathlib import Path
from typing import Any

import param
import torch
from InnerEye.Common import fixed_paths
from InnerEye.ML.common import ModelExecutionMode as OldMode
from InnerEye.ML.lightning_container import LightningContainer as OldContainer
from pytorch_lightning import LightningDataModule

from innereye_runtime import InnerEyeInference, LightningContainer, LightningModuleWithOptimizer, ModelExecutionMode
from innereye_runtime import add_confusion_matrix, add_curve, add_figure, add_overlay, add_per_subject, add_table


class Net(LightningModuleWithOptimizer, InnerEyeInference):
    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        self.log("train/loss", batch.mean())
        return batch.mean()

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        print(dataset_split.value)

    def inference_step(self, batch: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        add_curve([0, 1], [0, 1], "title")
        add_overlay(model_output, [model_output > 0], "title")
        add_figure(model_output, "title")
        add_table([{"a": 1}], "title")
        add_confusion_matrix(model_output, "title", names=["a"])
        add_per_subject({"subject": ["p"], "dice": [0.5]}, "title")


class Mine(LightningContainer):
    num_layers = param.Integer(3, bounds=(1, None), doc="Number of hidden layers.")

    def __init__(self) -> None:
        super().__init__(num_epochs=3)
        self.l_rate = 1e-3
        self.local_dataset = Path("scans")

    def create_model(self) -> Net:
        print(self.num_layers + self.num_epochs)
        return Net()

    def get_data_module(self) -> LightningDataModule:
        return LightningDataModule()

    def get_trainer_arguments(self) -> dict[str, Any]:
        return {"gradient_clip_val": 1}


class Old(OldContainer):
    def setup(self) -> None:
        print(fixed_paths.repository_root_directory(), OldMode.TEST.value)
"""


def test_every_public_name_is_there_by_every_way() -> None:
    found: dict[str, Any] = {}
    exec("from innereye_runtime import *", found)
    assert found.keys() - {"__builtins__"} == set(innereye_runtime.__all__) == set(dir(innereye_runtime))
    assert {*innereye_runtime._HOMES, "__version__"} == set(innereye_runtime.__all__)
    assert all(getattr(innereye_runtime, name) is found[name] for name in innereye_runtime.__all__)


def test_a_container_passes_a_strict_type_checker(tmp_path: Path, needs: Any) -> None:
    needs("torch")
    (tmp_path / "mine.py").write_text(CONTAINER)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir=cache", "mine.py"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert checked.returncode == 0, checked.stdout
