"""Other data for inference than for training, and every hook of a container."""

from pathlib import Path
from typing import Any

from pytorch_lightning import LightningDataModule, LightningModule

from InnerEye.ML.lightning_container import LightningContainer

from ._common import Line, LineModel


class WithInferenceData(LightningContainer):
    def __init__(self) -> None:
        super().__init__()
        self.configure()

    def configure(self) -> None:
        self.num_epochs = 1
        self.inference_on_train_set = False

    def _note(self, hook: str) -> None:
        with Path("hooks.txt").open("a") as file:
            file.write(hook + "\n")

    def setup(self) -> None:
        self._note("setup")

    def create_model(self) -> LightningModule:
        self._note("create_model")
        return LineModel()

    def get_data_module(self) -> LightningDataModule:
        self._note("get_data_module")
        return Line()

    def before_training_on_global_rank_zero(self) -> None:
        self._note("before_training_on_global_rank_zero")

    def before_training_on_local_rank_zero(self) -> None:
        self._note("before_training_on_local_rank_zero")

    def before_training_on_all_ranks(self) -> None:
        self._note("before_training_on_all_ranks")

    def get_inference_data_module(self) -> LightningDataModule:
        self._note("get_inference_data_module")
        return Line(rows=32)

    def create_report(self) -> None:
        self._note("create_report")

    def update_azure_config(self, azure_config: Any) -> None:
        azure_config.tag = "inference data"
