"""A container that splits its data by the cross-validation index, in the successor's names."""

import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch.utils.data import Subset

from InnerEye.ML.lightning_container import LightningContainer

from ._common import Line, LineModel


class Fold(Line):
    def __init__(self, count: int, index: int) -> None:
        super().__init__()
        rows = torch.arange(len(self.table))
        self.val = Subset(self.table, rows[rows % count == index].tolist())
        self.table = Subset(self.table, rows[rows % count != index].tolist())


class KFold(LightningContainer):
    def __init__(self) -> None:
        super().__init__(max_epochs=2, crossval_count=5, crossval_index=1)

    def create_model(self) -> LightningModule:
        return LineModel()

    def get_data_module(self) -> LightningDataModule:
        if not self.perform_cross_validation:
            return Line()
        return Fold(self.number_of_cross_validation_splits, self.cross_validation_split_index)
