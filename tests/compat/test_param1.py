"""Idioms of `param` 1, on the `param` that is installed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import date
from pathlib import Path

import param
import pytest

from innereye_runtime import LightningContainer
from innereye_runtime.api.params.generic_config import CudaAwareConfig, GenericConfig
from innereye_runtime.parameters.types import IntTuple, ListOrDictParam


def test_a_typed_list_checks_its_items() -> None:
    class Config(GenericConfig):
        names = param.List(["a"], class_=str)

    assert Config().names == ["a"]
    with pytest.raises(TypeError):
        Config(names=[1])


def test_positional_arguments_beyond_the_default_are_taken_in_their_old_order() -> None:
    class Config(GenericConfig):
        share = param.Number(0.5, (0, 1))
        count = param.Integer(3, (1, None))
        text = param.String("a", "a+")
        sizes = param.List([1], int, True, (1, 2))
        size = param.NumericTuple((1, 2, 3), 3)
        folder = param.ClassSelector(Path, None)
        anything = param.Parameter(1, "Some words.")
        flag = param.Boolean(False, bounds=(0, 1))

    config = Config()
    for name, wrong in (
        ("share", 2),
        ("count", 0),
        ("text", "b"),
        ("sizes", [1, 2, 3]),
        ("size", (1,)),
        ("folder", "x"),
    ):
        with pytest.raises((ValueError, TypeError)):
            setattr(config, name, wrong)
    assert Config.param["anything"].doc == "Some words."
    assert config.flag is False


def test_what_param_2_accepts_means_what_it_meant() -> None:
    class Own(param.Parameterized):
        names = param.List(default=["a"], item_type=str)
        count = param.Integer(default=None, allow_None=True)

    assert (Own().names, Own().count) == (["a"], None)
    with pytest.raises(TypeError):
        param.List([], nonsense=3)


def test_the_old_spellings_are_taught_once() -> None:
    from innereye_runtime.compat import param1

    before = param.List.__init__
    param1.install()
    assert param.List.__init__ is before


def test_one_positional_argument_is_what_it_was_in_param_1() -> None:
    class Config(GenericConfig):
        folder = param.ClassSelector(Path, default=None)
        count = param.Integer(3)
        share = param.Magnitude(0.5, (0.2, 0.8))
        pair = param.Tuple((1, "a"), 2)
        labels = param.Dict({"a": 1})
        kind = param.ObjectSelector("a", ["a", "b"])
        kinds = param.ListSelector(["a"], ["a", "b"])
        day = param.CalendarDate(date(2020, 1, 2), (date(2020, 1, 1), date(2020, 1, 3)))

    assert (Config.param["folder"].class_, Config().folder, Config().count) == (Path, None, 3)
    assert (Config.param["share"].softbounds, Config.param["pair"].length) == ((0.2, 0.8), 2)
    assert (Config().labels, Config.param["kind"].objects, Config().kinds) == ({"a": 1}, ["a", "b"], ["a"])
    with pytest.raises(ValueError, match="day"):
        Config(day=date(2020, 1, 4))


def test_a_plain_value_in_a_class_body_changes_the_default_and_is_checked() -> None:
    class Config(LightningContainer):
        num_epochs = 5
        local_dataset = "/data"

    assert Config.param["num_epochs"].default == Config().num_epochs == 5
    assert Config().local_dataset == Path("/data")
    assert LightningContainer().num_epochs == 100
    with pytest.raises(ValueError, match="num_epochs"):
        type("Wrong", (LightningContainer,), {"num_epochs": 0})


def test_the_old_methods_answer() -> None:
    config = LightningContainer()
    assert config.params()["num_epochs"].default == LightningContainer.params("num_epochs").default == 100
    assert dict(config.get_param_values())["num_epochs"] == 100
    config.set_param(num_epochs=3)
    config.set_param("l_rate", 0.5)
    assert (config.num_epochs, config.l_rate) == (3, 0.5)


def test_overrides_are_applied_by_name_and_unknown_ones_refused() -> None:
    config = LightningContainer()
    assert config.apply_overrides({"num_epochs": 4, "else": 1}, keys_to_ignore=["else"]) == {"num_epochs": 4}
    with pytest.raises(ValueError, match="did you mean 'num_epochs'"):
        config.apply_overrides({"num_epoch": 4})
    assert config.num_epochs == 4


def test_a_config_is_made_from_arguments() -> None:
    class Config(GenericConfig):
        layers = param.Integer(3)
        names = param.List([], class_=str)
        flag = param.Boolean(False)

    config = Config.parse_args(["--layers=5", "--names=a,b", "--flag"])
    assert (config.layers, config.names, config.flag) == (5, ["a", "b"], True)
    with pytest.raises(ValueError, match="layer"):
        Config.parse_args(["--layer=5"])


def test_an_attribute_that_is_no_parameter_may_be_set() -> None:
    class Container(LightningContainer):
        def __init__(self) -> None:
            super().__init__()
            self.anything = 3

    assert Container().anything == 3


def test_a_container_may_be_abstract() -> None:
    class Base(LightningContainer, ABC):
        @abstractmethod
        def layers(self) -> int: ...

    with pytest.raises(TypeError, match="abstract"):
        Base()


def test_tuples_of_whole_numbers_and_lists_or_dicts() -> None:
    class Config(GenericConfig):
        size = IntTuple((1, 2), length=2)
        either = ListOrDictParam(None, allow_None=True)
        none = IntTuple(None, length=2, allow_None=True)

    assert Config().none is None
    with pytest.raises(ValueError, match="whole numbers"):
        Config(size=(1.5, 2))
    assert Config(either="a, b").either == ["a", "b"]
    assert Config(either='{"a": 1}').either == {"a": 1}
    with pytest.raises(ValueError, match="list or a dict"):
        Config(either=3)


def test_the_gpu_is_used_only_where_it_is_asked_for() -> None:
    assert CudaAwareConfig().use_gpu is False
    assert CudaAwareConfig().get_cuda_device() is None
