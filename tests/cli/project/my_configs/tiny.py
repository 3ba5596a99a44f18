"""A container that is read and never imported by these tests."""

from enum import Enum

import param
import torch

from innereye_runtime import LightningContainer


class Flavour(Enum):
    SWEET = "sweet"
    SOUR = "sour"


class Tiny(LightningContainer):
    num_layers: int = param.Integer(3, bounds=(1, 9), doc="Number of hidden layers.")
    flavour: Flavour = param.ClassSelector(default=Flavour.SWEET, class_=Flavour, doc="Which of the two.")
    dry_run: bool = param.Boolean(False, doc="Do nothing.")

    def __init__(self) -> None:
        super().__init__(num_epochs=20)

    def create_model(self) -> torch.nn.Module:
        return torch.nn.Linear(1, 1)


class Computed(LightningContainer):
    threads: int = param.Integer(torch.get_num_threads() * 0 + 5, doc="Known only when the class is made.")
