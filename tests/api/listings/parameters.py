"""Parameters of every kind, in the spellings of `param` 1."""

from enum import Enum, auto, unique
from pathlib import Path

import param
import param as p
from param import Boolean, Integer
from pytorch_lightning import LightningDataModule, LightningModule

from InnerEye.Common.generic_parsing import GenericConfig, IntTuple, ListOrDictParam
from InnerEye.Common.type_annotations import TupleInt3
from InnerEye.ML.lightning_container import LightningContainer

from ._common import Line, LineModel

DEFAULT_LAYERS = 3
MOST_LAYERS = DEFAULT_LAYERS * 4


@unique
class Architecture(Enum):
    UNet = "UNet"
    ResNet = "ResNet"


class Level(Enum):
    LOW = auto()
    HIGH = auto()


class NetworkConfig(GenericConfig):
    """A mix-in with parameters of its own."""

    num_layers: int = Integer(default=DEFAULT_LAYERS, bounds=(1, MOST_LAYERS), doc="Number of layers.")
    dropout: float = param.Number(0.1, (0, 1), inclusive_bounds=(True, False), doc="Share of units left out.")


class AllParameters(LightningContainer, NetworkConfig):
    num_epochs = 2
    flag: bool = Boolean(False, doc="A switch.")
    maybe: int | None = param.Integer(default=None, doc="Unset or a number.")
    names: list = param.List(default=["a", "b"], class_=str, doc="Some names.")
    sizes: list = p.List([1, 2], class_=int, bounds=(1, 4))
    folders: list = p.List(class_=Path, default=[])
    crop: TupleInt3 = IntTuple((64, 224, 224), length=3, doc="Size of a crop.")
    spacing = param.NumericTuple(default=(1.0, 1.0, 2.5), length=3)
    architecture: Architecture = param.ClassSelector(default=Architecture.UNet, class_=Architecture, instantiate=False)
    level = param.ClassSelector(class_=Level, default=Level.LOW, instantiate=False)
    activation = param.Selector(default="relu", objects=["relu", "gelu", "tanh"])
    metrics = param.ListSelector(default=["dice"], objects=["dice", "volume", "hausdorff"])
    csv_file: Path | None = param.ClassSelector(class_=Path, default=None, allow_None=True)
    extra = ListOrDictParam(None, allow_None=True)
    labels = param.Dict({"csf": 1})
    suffix = param.String("_v" + str(DEFAULT_LAYERS))
    version: int = param.Integer(3, constant=True)
    _secret: int = param.Integer(5)

    def __init__(self) -> None:
        super().__init__(should_validate=True)
        self.maybe, self.suffix = 4, f"_v{DEFAULT_LAYERS + 1}"

    def create_model(self) -> LightningModule:
        assert "num_layers" in self.params() and "names" in type(self).params()
        return LineModel()

    def get_data_module(self) -> LightningDataModule:
        return Line()


class Narrowed(AllParameters):
    """Declares a parameter anew, with what it does not say taken from the base."""

    num_layers = param.Integer(5)
    flag = True
    metrics = ["volume"]  # noqa: RUF012
    max_epochs = 7
