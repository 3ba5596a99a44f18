"""Inference after training: which splits, with which weights, by one model or by several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from tests.training.harness import train
from tests.training.models import Model, Noisy, NoisyData
from torch.utils.data import DataLoader

from innereye_runtime import InnerEyeInference, LightningContainer, ModelExecutionMode
from innereye_runtime.errors import DataError, InnerEyeError, UsageError
from innereye_runtime.training.evaluation.evaluate import evaluate

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


class Constant(Model, InnerEyeInference):
    """Its output is its only weight, whatever it is given; it notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.constant = torch.nn.Parameter(torch.zeros(1))
        self.calls: list[Any] = []

    def forward(self, item: Any) -> torch.Tensor:
        assert isinstance(item, list | torch.Tensor) and not self.training
        return self.constant.detach()

    def on_inference_start(self) -> None:
        self.calls.append("start")

    def on_inference_epoch_start(self, dataset_split: ModelExecutionMode, is_ensemble_model: bool) -> None:
        self.calls.append((dataset_split.value, is_ensemble_model))

    def inference_step(self, batch: Any, batch_idx: int, model_output: torch.Tensor) -> None:
        assert not torch.is_grad_enabled()
        self.calls.append((batch_idx, float(model_output)))

    def on_inference_end(self) -> None:
        self.calls.append("end")


class Container(LightningContainer):
    def __init__(self, **parameters: Any) -> None:
        super().__init__(num_epochs=1, **parameters)

    def create_model(self) -> Any:
        return Constant()

    def get_data_module(self) -> Any:
        return NoisyData()


def checkpoint(folder: Path, value: float) -> Path:
    model = Constant()
    model.constant.data.fill_(value)
    path = folder / f"{value}.ckpt"
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def calls(container: LightningContainer, folder: Path, checkpoints: list[Path], smoke: bool = False) -> list[Any]:
    container.run_inference_only = True  # type: ignore[assignment]
    container.local_weights_path = checkpoints or [checkpoint(folder, 0.0)]  # type: ignore[assignment]
    trained = train(container, folder / "run")
    assert evaluate(container, trained.data, trained.trainer, checkpoints, seed=1, smoke=smoke) == {}
    found: list[Any] = container.model.calls  # type: ignore[assignment]
    return found


def test_one_model_goes_over_all_splits(tmp_path: Path) -> None:
    found = calls(Container(), tmp_path, [checkpoint(tmp_path, 2.0)])
    train_calls = [("Train", False), *((index, 2.0) for index in range(5))]
    others = [[(split, False), (0, 2.0), (1, 2.0)] for split in ("Val", "Test")]
    assert found == ["start", *train_calls, *others[0], *others[1], "end"]


class Small(NoisyData):
    """Data whose batches are of one item."""

    def test_dataloader(self) -> Any:
        return DataLoader(Noisy(3), batch_size=1)

    val_dataloader = test_dataloader


class Counting(Model):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.batches = [*getattr(self, "batches", []), f"val of {len(batch[0])}"]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.batches = [*getattr(self, "batches", []), f"test of {len(batch[0])}"]

    def on_run_extra_validation_epoch(self) -> None:
        self.batches = ["hook of the model"]


class Successors(LightningContainer):
    """As hi-ml's: evaluated in full on data of its own, and validated once more on what its hook changed."""

    small = False

    def create_model(self) -> Any:
        return Counting()

    def get_data_module(self) -> Any:
        return Small() if self.small else NoisyData()

    def get_eval_data_module(self) -> Any:
        return Small()

    def get_inference_data_module(self) -> Any:
        assert not self.eval_full
        return super().get_inference_data_module()

    def before_training_on_all_ranks(self) -> None:
        assert not self.eval_full


class Hooked(Successors):
    get_inference_data_module = LightningContainer.get_inference_data_module

    def on_run_extra_validation_epoch(self) -> None:
        super().on_run_extra_validation_epoch()
        self.small = True


@pytest.mark.parametrize(
    ("cls", "parameters", "batches"),
    [
        (Successors, {"eval_full": True}, ["test of 1"] * 3),
        (Successors, {"run_inference_only": True}, ["test of 4"] * 2),
        (
            Successors,
            {"run_inference_only": True, "run_extra_val_epoch": True},
            ["hook of the model", *["val of 4"] * 2, *["test of 4"] * 2],
        ),
        (
            Hooked,
            {"run_inference_only": True, "run_extra_val_epoch": True},
            ["hook of the model", *["val of 1"] * 3, *["test of 1"] * 3],
        ),
    ],
)
def test_the_data_of_hi_mls_evaluations(
    tmp_path: Path, cls: type[Successors], parameters: dict[str, Any], batches: list[str]
) -> None:
    weights = tmp_path / "w.ckpt"
    torch.save({"state_dict": Counting().state_dict()}, weights)
    container = cls(src_checkpoint=str(weights), **parameters)
    trained = train(container, tmp_path / "run")
    evaluate(container, trained.data, trained.trainer, trained.weights, seed=1, smoke=False)
    assert trained.trainer.global_step == 0
    assert container.model.batches == batches


def test_a_full_evaluation_needs_weights_and_data_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="eval_full is set, and no weights are given"):
        train(Successors(eval_full=True), tmp_path / "none")
    with pytest.raises(InnerEyeError, match="Container has no get_eval_data_module"):
        train(Container(eval_full=True, src_checkpoint="w.ckpt"), tmp_path / "plain")


def test_a_split_that_is_not_wanted_is_left_out(tmp_path: Path) -> None:
    container = Container(inference_on_train_set=False, inference_on_test_set=False)
    assert calls(container, tmp_path, []) == ["start", ("Val", False), (0, 0.0), (1, 0.0), "end"]


def test_several_models_give_the_mean_over_the_test_set(tmp_path: Path) -> None:
    found = calls(Container(), tmp_path, [checkpoint(tmp_path, value) for value in (1.0, 2.0, 6.0)])
    assert found == ["start", ("Test", True), (0, 3.0), (1, 3.0), "end"]


def test_several_models_go_over_the_splits_that_are_asked_for(tmp_path: Path) -> None:
    asked = {"ensemble_inference_on_train_set": True, "ensemble_inference_on_val_set": True}
    container = Container(**asked, ensemble_inference_on_test_set=False)
    found = calls(container, tmp_path, [checkpoint(tmp_path, value) for value in (1.0, 2.0)], smoke=True)
    assert found == ["start", ("Train", True), (0, 1.5), (1, 1.5), ("Val", True), (0, 1.5), (1, 1.5), "end"]


class Plain(Model):
    """Has a test_step and no InnerEyeInference; what its forward returns is a nest."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, item: Any) -> Any:
        return {"value": self.layers(item)}

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.seen.append((batch[0], self(batch[0])["value"]))
        self.log("test/mean", self.seen[-1][1].mean())


class Plains(Container):
    def create_model(self) -> Any:
        return Plain()


def plain_checkpoints(folder: Path) -> tuple[list[Path], list[Plain]]:
    """Of three models, which are returned as they are in evaluation."""
    paths, models = [folder / f"{index}.ckpt" for index in range(3)], []
    for index, path in enumerate(paths):
        torch.manual_seed(index)
        model = Plain()
        model.layers[1].running_mean.add_(index)  # type: ignore[operator, union-attr]
        model.layers[1].num_batches_tracked.add_(index)  # type: ignore[operator, union-attr]
        torch.save({"state_dict": model.state_dict(), "optimizer_states": [index]}, path)
        models.append(model.eval())
    return paths, models


def test_the_outputs_of_several_plain_models_are_averaged(tmp_path: Path) -> None:
    paths, models = plain_checkpoints(tmp_path)
    container = Plains(run_inference_only=True, local_weights_path=paths)
    trained = train(container, tmp_path / "run")
    metrics = evaluate(container, trained.data, trained.trainer, trained.weights, seed=1, smoke=False)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = container.model.seen  # type: ignore[assignment]
    with torch.no_grad():
        apart = [sum(model(x)["value"] for model in models) / 3 for x, _ in seen]
    assert len(seen) == 2
    assert torch.allclose(torch.cat([output for _, output in seen]), torch.cat(apart), atol=1e-7)  # type: ignore[arg-type]
    assert metrics["test/mean"] == pytest.approx(float(torch.cat(apart).mean()), abs=1e-6)  # type: ignore[arg-type]
    assert "forward" not in vars(container.model)


def test_the_weights_of_several_models_are_averaged(tmp_path: Path) -> None:
    paths, models = plain_checkpoints(tmp_path)
    container = Plains(run_inference_only=True, local_weights_path=paths, ensemble_average="weights")
    trained = train(container, tmp_path / "run")
    evaluate(container, trained.data, trained.trainer, trained.weights, seed=1, smoke=False)
    states = [model.state_dict() for model in models]
    found = container.model.state_dict()
    for name, value in found.items():
        apart = torch.stack([state[name].double() for state in states]).mean(0)
        expected = apart.to(value.dtype) if value.is_floating_point() else states[0][name]
        assert torch.allclose(value, expected), name
    kept = torch.load(tmp_path / "run" / "checkpoints" / "averaged.ckpt", weights_only=True)
    assert set(kept) == {"state_dict"}

    both = [checkpoint(tmp_path, value) for value in (1.0, 4.0)]
    assert calls(Container(ensemble_average="weights"), tmp_path / "own", both) == [
        *("start", ("Test", True), (0, 2.5), (1, 2.5), "end")
    ]
    with pytest.raises(DataError, match=r"0\.ckpt are of different models"):
        calls(Container(ensemble_average="weights"), tmp_path / "mixed", [paths[0], both[0]])


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("test_step", "its test_step does not call its forward"),
        ("forward", r"an ensemble averages what forward returns, and torch\.int64 has no mean"),
    ],
)
def test_a_plain_model_without_outputs_to_average_is_no_ensemble(tmp_path: Path, method: str, message: str) -> None:
    class Wrong(Plain):
        def forward(self, item: Any) -> Any:
            return {"value": self.layers(item).long()} if method == "forward" else super().forward(item)

        def test_step(self, batch: Any, batch_idx: int) -> None:
            return super().test_step(batch, batch_idx) if method == "forward" else Model.test_step(self, batch, 0)

    class Wrongs(Container):
        def create_model(self) -> Any:
            return Wrong()

    paths, _ = plain_checkpoints(tmp_path)
    container = Wrongs(run_inference_only=True, local_weights_path=paths)
    trained = train(container, tmp_path / "run")
    with pytest.raises(UsageError, match=message) as raised:
        evaluate(container, trained.data, trained.trainer, trained.weights, seed=1, smoke=False)
    assert "--ensemble_average=weights" in raised.value.hint


def test_training_goes_on_from_given_weights_or_from_a_whole_state(tmp_path: Path) -> None:
    first = train(Container(), tmp_path / "first")
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"
    weights = train(Container(src_checkpoint=str(last)), tmp_path / "weights")
    assert (first.trainer.global_step, weights.trainer.global_step) == (5, 5)
    longer = Container(src_checkpoint=str(last), resume_training=True)
    longer.num_epochs = 3  # type: ignore[assignment]
    assert train(longer, tmp_path / "longer").trainer.global_step == 15
    with pytest.raises(UsageError, match="2 checkpoints are given to start training from"):
        train(Container(local_weights_path=[last, last]), tmp_path / "several")


class Threshold(Model):
    """Keeps the epoch beside its weights, and saves it with them."""

    threshold = -1

    def on_validation_epoch_end(self) -> None:
        self.threshold = self.current_epoch
        self.log("val/distance", float(abs(self.current_epoch - 1)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["threshold"] = self.threshold

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.threshold = checkpoint["threshold"]

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/threshold", float(self.threshold))


class Kept(NoisyData):
    epochs = 0

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": 3}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]


class Counter(Callback):
    epochs = 0

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self.epochs += 1

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs = state_dict["epochs"]


class Keeping(LightningContainer):
    def __init__(self) -> None:
        super().__init__(num_epochs=3, checkpoint_monitor="val/distance")
        self.counter = Counter()

    def create_model(self) -> Any:
        return Threshold()

    def get_data_module(self) -> Any:
        return Kept()

    def get_callbacks(self) -> list[Callback]:
        return [self.counter]


def test_what_a_model_saves_beside_its_weights_is_evaluated_with_them(tmp_path: Path) -> None:
    for attempt in (1, 2):  # the second one finds training complete
        container = Keeping()
        trained = train(container, tmp_path)
        assert container.model.threshold == 2, f"attempt {attempt}"
        assert container.counter.epochs == 3
        best = tmp_path / "checkpoints" / "best.ckpt"
        metrics = evaluate(container, trained.data, trained.trainer, [best], seed=1, smoke=False)
        assert metrics == {"test/threshold": 1.0}
    assert isinstance(trained.data, Kept)
    assert trained.data.epochs == 3


def test_a_file_that_is_no_checkpoint_is_told(tmp_path: Path) -> None:
    bare, text = tmp_path / "bare.pt", tmp_path / "text.ckpt"
    torch.save(Model().state_dict(), bare)
    text.write_text("no weights")
    for path, message in (
        (bare, "not a Lightning checkpoint: it has no 'state_dict'"),
        (text, "is not a checkpoint: "),
    ):
        with pytest.raises(DataError, match=message) as error:
            train(Container(local_weights_path=[path]), tmp_path / path.stem)
        assert "torch.save" in error.value.hint
