"""Evaluation and inference go through Lightning's loops: what plain Lightning calls is called here, in its order."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import CombinedLoader
from tests.training.harness import train
from torch.utils.data import DataLoader, TensorDataset

from innereye_runtime import InnerEyeInference, LightningContainer, ModelExecutionMode
from innereye_runtime.errors import DataError, UsageError
from innereye_runtime.training.evaluation.evaluate import evaluate
from innereye_runtime.training.lifecycle import steps
from innereye_runtime.training.lifecycle.outcome import outcome_of

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


def loader(rows: int) -> Any:
    return DataLoader(
        TensorDataset(torch.ones(rows, 2)), batch_size=2, collate_fn=lambda rows: torch.stack([x for (x,) in rows])
    )


class Loaders:
    """Of a data module, or of a model that has none."""

    def train_dataloader(self) -> Any:
        return loader(8)

    def val_dataloader(self) -> Any:
        return loader(4)

    def test_dataloader(self) -> Any:
        return loader(6)


class Data(Loaders, pl.LightningDataModule):
    pass


class Late(pl.LightningModule):
    """Its head is there from `configure_model` on; its encoder comes from elsewhere, and stays out of checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.strict_loading = False
        self.encoder = torch.nn.Linear(2, 2).requires_grad_(False)
        torch.nn.init.ones_(self.encoder.weight)
        self.head: Any = None

    def configure_model(self) -> None:
        if self.head is None:
            self.head = torch.nn.Linear(2, 1)

    def state_dict(self, *arguments: Any, **named: Any) -> Any:
        return {name: value for name, value in super().state_dict(*arguments, **named).items() if "encoder" not in name}

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.encoder(batch))
        return output

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self(batch).square().mean()
        return loss

    def validation_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("val/loss", self(batch).square().mean())

    def test_step(self, batch: torch.Tensor, batch_idx: int) -> None:
        self.log("test/weights", self.head.weight.sum() + self.head.bias.sum())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.head.parameters(), lr=0.01)


class Inferring(Late, InnerEyeInference):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[Any] = []

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        self.told.append(dataset_split.value)

    def inference_step(self, batch: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        assert not torch.is_grad_enabled()
        assert not self.training
        self.told.append(batch_idx)
        self.weights = float(self.head.weight.sum() + self.head.bias.sum())


class Container(LightningContainer):
    def __init__(self, model: type[pl.LightningModule], data: Any = Data, **parameters: Any) -> None:
        super().__init__(num_epochs=1, **parameters)
        self._create, self._data = model, data

    def create_model(self) -> Any:
        return self._create()

    def get_data_module(self) -> Any:
        return self._data() if self._data else None


def evaluated(container: LightningContainer, folder: Path) -> dict[str, float | None]:
    done = train(container, folder)
    best = folder / "checkpoints" / "best.ckpt"
    checkpoints = done.weights or ([best] if best.exists() else [])
    return evaluate(container, done.data, done.trainer, checkpoints, seed=1, smoke=False)


def only(container: LightningContainer, checkpoint: Path) -> LightningContainer:
    container.run_inference_only = True
    container.local_weights_path = [checkpoint]
    return container


def test_layers_that_are_built_late_are_evaluated_with_their_trained_weights(tmp_path: Path) -> None:
    trained = evaluated(Container(Late), tmp_path / "one")
    best = tmp_path / "one" / "checkpoints" / "best.ckpt"
    assert trained == evaluated(only(Container(Late), best), tmp_path / "test")
    inferring = only(Container(Inferring), best)
    assert evaluated(inferring, tmp_path / "inference") == {}
    model: Any = inferring.model
    assert model.weights == pytest.approx(trained["test/weights"])
    assert model.told == ["Train", 0, 1, 2, 3, "Val", 0, 1, "Test", 0, 1, 2]


class Noting(Data):
    """Holds its data for as long as a stage lasts, and notes which hooks are called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.rows: dict[str, int] = {}

    def prepare_data(self) -> None:
        self.calls.append("prepare_data")

    def setup(self, stage: Any) -> None:
        assert self.trainer is not None
        assert self.trainer.world_size == 1
        self.calls.append(f"setup {stage.value}")
        self.rows = {"fit": {"train": 4, "val": 2}, "test": {"test": 2}}[stage.value]

    def teardown(self, stage: Any) -> None:
        self.calls.append(f"teardown {stage.value}")
        self.rows = {}

    def train_dataloader(self) -> Any:
        return {"a": loader(self.rows["train"]), "b": [loader(2)]}

    def val_dataloader(self) -> Any:
        return CombinedLoader([loader(self.rows["val"]), loader(4)], "min_size")

    def test_dataloader(self) -> Any:
        return [loader(self.rows["test"]), loader(2)]

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.calls.append(f"before {dataloader_idx}")
        return batch

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        self.calls.append("transfer")
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        self.calls.append("after")
        return batch


class Nested(Inferring):
    def forward(self, batch: Any) -> Any:
        return super().forward(batch[0] if isinstance(batch, list) else batch)


def test_inference_calls_the_hooks_of_the_data_and_takes_every_kind_of_loader(tmp_path: Path) -> None:
    best = tmp_path / "one" / "checkpoints" / "best.ckpt"
    train(Container(Late), tmp_path / "one")  # on other data than inference takes
    noting = Noting()
    container = only(Container(Nested, lambda: noting), best)
    evaluated(container, tmp_path / "two")
    model: Any = container.model
    assert model.told == ["Train", 0, 1, 2, "Val", 0, "Test", 0, 1]
    first, second = ["before 0", "transfer", "after"], ["before 1", "transfer", "after"]
    assert noting.calls == [
        *("prepare_data", "setup fit"),
        *(first * 2 + second),  # Train
        *first,  # Val: of both loaders at once
        *("teardown fit", "setup test"),
        *(first + second),  # Test
        "teardown test",
    ]
    assert "setup" not in vars(noting)


class OwnLoaders(Loaders, Late):
    def predict_dataloader(self) -> Any:
        return [loader(2), loader(4)]

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return {"output": self(batch), "loader": dataloader_idx}


class OwnInference(Loaders, Inferring):
    pass


class OnlyPredicts(OwnLoaders):
    test_step: Any = pl.LightningModule.test_step


def test_a_model_with_loaders_of_its_own_is_tested_and_predicts(tmp_path: Path) -> None:
    metrics = evaluated(Container(OwnLoaders, None), tmp_path / "one")
    assert list(metrics) == ["test/weights"]
    files = sorted((tmp_path / "one" / "predictions").rglob("*.pt"))
    assert [str(path.relative_to(tmp_path / "one" / "predictions")) for path in files] == [
        "dataloader_0/batch_00000.pt",
        "dataloader_1/batch_00000.pt",
        "dataloader_1/batch_00001.pt",
    ]
    content = torch.load(files[1])
    assert (content["loader"], content["output"].shape) == (1, (2, 1))

    best = tmp_path / "one" / "checkpoints" / "best.ckpt"
    assert evaluated(only(Container(OnlyPredicts, None), best), tmp_path / "two") == {}
    again = torch.load(tmp_path / "two" / "predictions" / "dataloader_1" / "batch_00000.pt")
    assert torch.equal(again["output"], content["output"])
    evaluated(only(Container(OwnLoaders, None, predict=False), best), tmp_path / "three")
    assert not (tmp_path / "three" / "predictions").exists()

    inferring = only(Container(OwnInference, None), best)
    evaluated(inferring, tmp_path / "four")
    assert inferring.model.told == ["Train", 0, 1, 2, 3, "Val", 0, 1, "Test", 0, 1, 2]


class Inherits(Late, InnerEyeInference):
    pass


class Neither(Inherits):
    test_step: Any = pl.LightningModule.test_step


class Empty(Data):
    def test_dataloader(self) -> Any:
        return loader(0)


def test_what_a_model_can_do_decides_how_it_is_evaluated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("innereye_runtime"), "propagate", True)
    assert list(evaluated(Container(Inherits), tmp_path / "inherits")) == ["test/weights"]
    best = tmp_path / "inherits" / "checkpoints" / "best.ckpt"
    assert evaluated(only(Container(Neither), best), tmp_path / "neither") == {}
    assert "no evaluation: Neither has neither an inference_step of its own nor a test_step" in caplog.text
    for model in (Late, Inferring):
        container = only(Container(model, Empty), best)
        container.inference_on_train_set = container.inference_on_val_set = False
        with pytest.raises(DataError, match="test_dataloader gave no batch"):
            evaluated(container, tmp_path / f"empty{model.__name__}")

    class Wrong(Inferring):
        def forward(self, batch: Any) -> Any:
            return super().forward(batch["image"])

        def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
            return [batch]

    with pytest.raises(TypeError) as error:
        evaluated(only(Container(Wrong), best), tmp_path / "wrong")
    assert "--inference_forward=first" in outcome_of(error.value).hint


def test_weights_that_are_missing_or_of_a_finished_training_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("innereye_runtime"), "propagate", True)
    for parameter in ("run_inference_only", "resume_training"):
        with pytest.raises(UsageError, match=f"{parameter} is set, and no weights are given"):
            train(Container(Late, **{parameter: True}), tmp_path / parameter)
    train(Container(Late), tmp_path / "first")
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    train(Container(Late, src_checkpoint=str(last), resume_training=True), tmp_path / "again")
    assert f"nothing was trained: {last} is from the end of epoch 1, and num_epochs is 1" in caplog.text


@pytest.mark.parametrize(
    "arguments",
    [{"val_check_interval": 3}, {"check_val_every_n_epoch": 3}, {"max_steps": 1, "check_val_every_n_epoch": None}],
    ids=str,
)
def test_a_smoke_run_validates_whenever_the_container_would(tmp_path: Path, arguments: dict[str, Any]) -> None:
    class Rarely(Container):
        def get_trainer_arguments(self) -> dict[str, Any]:
            return dict(arguments)

    done: steps.TrainingResult = train(Rarely(Late), tmp_path, smoke=True)
    assert list(done.progress.metrics["val"]) == ["val/loss"]
    assert done.trainer.global_step == 2
