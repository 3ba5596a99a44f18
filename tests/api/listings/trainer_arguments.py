"""Trainer arguments and callbacks of the container's own."""

from typing import Any, Dict, List  # noqa: UP035

from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer

from InnerEye.ML.lightning_container import LightningContainer

from ._common import Line, LineModel


class EpochCounter(Callback):
    def __init__(self, path: str) -> None:
        self.path = path
        self.epochs = 0

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.epochs += 1
        with open(self.path, "w") as file:  # noqa: PTH123
            file.write(str(self.epochs))


class WithTrainerArguments(LightningContainer):
    def __init__(self) -> None:
        super().__init__()
        self.num_epochs = 3

    def create_model(self) -> LightningModule:
        return LineModel()

    def get_data_module(self) -> LightningDataModule:
        return Line()

    def get_trainer_arguments(self) -> Dict[str, Any]:  # noqa: UP006
        return {"gradient_clip_val": 1, "limit_train_batches": 2, "callbacks": [EpochCounter("from_arguments.txt")]}

    def get_callbacks(self) -> List[Callback]:  # noqa: UP006
        return [EpochCounter("from_callbacks.txt")]
