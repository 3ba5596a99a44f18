"""What a container gives that it should not: each is told by its method, with what to write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.errors import DataError, InnerEyeError
from innereye_runtime.introspection.discovery import Location
from innereye_runtime.training.lifecycle.contract import (
    RequireTrainingBatches,
    callbacks_of,
    container_class,
    data_of,
    require_model,
    trainer_arguments_of,
)

PLACE = Location("mine", "Mine", Path("/project/mine.py"), 3)


class Model(pl.LightningModule):
    pass


class OwnLoaders(pl.LightningModule):
    def train_dataloader(self) -> Any:
        return []


def container(model: Any = None, data: Any = None) -> LightningContainer:
    class Mine(LightningContainer):
        def create_model(self) -> Any:
            return model

        def get_data_module(self) -> Any:
            return data

    return Mine()


@pytest.mark.parametrize(
    ("model", "message", "hint"),
    [
        (None, "Mine.create_model() returned nothing, not a LightningModule", "return"),
        (Model, "returned the class Model", "return Model(...)"),
        (torch.nn.Linear(1, 1), "returned a Linear", "derive the model"),
    ],
)
def test_a_model_that_is_none_is_told(model: Any, message: str, hint: str) -> None:
    with pytest.raises(InnerEyeError) as info:
        require_model(container(model))
    assert message in str(info.value)
    assert hint in info.value.hint


def giving(callbacks: Any = None, arguments: Any = None) -> LightningContainer:
    class Mine(LightningContainer):
        def get_callbacks(self) -> Any:
            return callbacks

        def get_trainer_arguments(self) -> Any:
            return arguments

    return Mine()


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ([pl.Callback], "Mine.get_callbacks() returned the class Callback, not a Callback", "return Callback(...)"),
        ({"early": pl.Callback()}, "Mine.get_callbacks() returned a str, not a Callback", "pytorch_lightning.Callback"),
        (3, "Mine.get_callbacks() returned a int, not a Callback", "pytorch_lightning.Callback"),
    ],
)
def test_a_callback_that_is_none_is_told(given: Any, message: str, hint: str) -> None:
    with pytest.raises(InnerEyeError) as info:
        callbacks_of(giving(given))
    assert str(info.value) == message
    assert hint in info.value.hint


def test_callbacks_may_be_none_one_or_several() -> None:
    one = pl.Callback()
    assert [callbacks_of(giving(given)) for given in (None, one, (one, one))] == [[], [one], [one, one]]
    assert trainer_arguments_of(giving(arguments=None)) == {"callbacks": []}
    assert trainer_arguments_of(giving(arguments={"callbacks": one, "a": 1})) == {"callbacks": [one], "a": 1}


def test_trainer_arguments_that_are_none_are_told() -> None:
    with pytest.raises(InnerEyeError, match=r"Mine.get_trainer_arguments\(\) returned a list, not a dict"):
        trainer_arguments_of(giving(arguments=[1]))
    with pytest.raises(InnerEyeError, match=r"Mine.get_trainer_arguments\(\) returned a str, not a Callback"):
        trainer_arguments_of(giving(arguments={"callbacks": ["x"]}))


@pytest.mark.parametrize(
    ("data", "message"), [(None, "returned nothing"), ([1], "returned a list"), (pl.LightningDataModule, "the class")]
)
def test_data_that_is_none_is_told(data: Any, message: str) -> None:
    with pytest.raises(InnerEyeError, match=rf"Mine.get_data_module\(\) .*{message}"):
        data_of(container(data=data), Model())


def test_what_is_right_passes() -> None:
    model, data = Model(), pl.LightningDataModule()
    assert require_model(container(model)) is model
    assert data_of(container(data=data), model) is data
    assert data_of(container(), OwnLoaders()) is None
    testing = type("Testing", (Model,), {"test_dataloader": lambda self: []})()
    inferring = container()
    inferring.run_inference_only = True
    assert data_of(inferring, testing) is None
    with pytest.raises(InnerEyeError, match="returned nothing"):
        data_of(container(), testing)


def test_a_method_that_is_not_there_is_named() -> None:
    class Empty(LightningContainer):
        pass

    with pytest.raises(InnerEyeError, match="Empty has no create_model"):
        require_model(Empty())
    with pytest.raises(InnerEyeError, match="Empty has no get_data_module"):
        data_of(Empty(), Model())


def test_a_class_that_is_no_container_or_asks_for_arguments_is_refused() -> None:
    class Asking(LightningContainer):
        def __init__(self, size: int) -> None:
            super().__init__()

    with pytest.raises(InnerEyeError, match=r"is not a LightningContainer: /project/mine.py:3"):
        container_class(Model, PLACE)
    with pytest.raises(InnerEyeError, match="without arguments: missing a required argument: 'size'"):
        container_class(Asking, PLACE)
    assert container_class(LightningContainer, PLACE) is LightningContainer


class Trainable(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch).mean()
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class Stream(torch.utils.data.IterableDataset[torch.Tensor]):
    """Data whose length nobody knows before it has been read."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(torch.ones(self.rows, 1))


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # Lightning's own
@pytest.mark.parametrize(
    ("data", "arguments", "refused"),
    [
        (torch.ones(0, 1), {}, True),
        (Stream(0), {}, True),
        (torch.ones(2, 1), {}, False),
        (Stream(2), {}, False),
        (torch.ones(2, 1), {"limit_train_batches": 0}, False),
    ],
)
def test_data_without_a_batch_is_refused(tmp_path: Path, data: Any, arguments: dict[str, Any], refused: bool) -> None:
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=False,
        callbacks=[RequireTrainingBatches(container())],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        **arguments,
    )
    loader = torch.utils.data.DataLoader(data)
    with pytest.raises(DataError, match="the training data has no batch") if refused else nullcontext():
        trainer.fit(Trainable(), loader)
