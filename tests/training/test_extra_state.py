"""What a user's container may carry from epoch to epoch: a restart of the run gives the same, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
import torchmetrics
from pytorch_lightning.callbacks import (
    BaseFinetuning,
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.training.harness import KillAt, Killed, train
from tests.training.models import Model, Noisy, NoisyData
from torch.utils.data import DataLoader, Sampler

from innereye_runtime import LightningContainer
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import Attempt
from innereye_runtime.training.checkpoints import extra_state
from innereye_runtime.training.checkpoints.resuming import find_resume_point
from innereye_runtime.training.checkpoints.weights import read_checkpoint, weights_sha256
from innereye_runtime.training.lightning.transforms import is_seeded, seed_transforms

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


class Jittered(Noisy):
    """Items with noise from a generator of the user's own."""

    def __init__(self, draw: Callable[[], Any]) -> None:
        super().__init__(20)
        self.draw = draw

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = super().__getitem__(index)
        return x + float(self.draw()), y


class NumpyGenerator(NoisyData):
    def setup(self, stage: str) -> None:
        self.random = numpy.random.default_rng(5)

    def train_dataloader(self) -> Any:
        return DataLoader(Jittered(lambda: self.random.normal()), batch_size=4, shuffle=True)


class TorchGenerator(NoisyData):
    def setup(self, stage: str) -> None:
        self.random = torch.Generator().manual_seed(5)

    def train_dataloader(self) -> Any:
        return DataLoader(Jittered(lambda: torch.rand((), generator=self.random)), batch_size=4, shuffle=True)


class OwnOrder(Sampler[int]):
    def __init__(self) -> None:
        self.random = numpy.random.RandomState(3)

    def __iter__(self) -> Iterator[int]:
        return iter(self.random.permutation(20).tolist())

    def __len__(self) -> int:
        return 20


class OwnSampler(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(20), batch_size=4, sampler=OwnOrder())


class PersistentWorkers(NoisyData):
    def train_dataloader(self) -> Any:
        workers = {"num_workers": 2, "persistent_workers": True, "multiprocessing_context": "fork"}
        return DataLoader(Noisy(20), batch_size=4, shuffle=True, **workers)  # type: ignore[arg-type]


class Randomizable:
    """A random transform as MONAI's are: all share one state from the operating system until they are seeded."""

    R = numpy.random.RandomState()

    def set_random_state(self, seed: int | None = None) -> Any:
        self.R = numpy.random.RandomState(seed)
        return self

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x + 0.1 * float(self.R.normal())


class Compose(Randomizable):
    def __init__(self, *transforms: Randomizable) -> None:
        self.transforms = transforms
        self.set_random_state()

    def set_random_state(self, seed: int | None = None) -> Any:
        super().set_random_state(seed)
        for each in self.transforms:
            each.set_random_state(int(self.R.randint(2**32, dtype="uint32")))
        return self

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for each in self.transforms:
            x = each(x)
        return x


class OneOf(Compose):
    """Leaves its transforms as they are when it is seeded."""

    def set_random_state(self, seed: int | None = None) -> Any:
        return Randomizable.set_random_state(self, seed)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.transforms[self.R.randint(len(self.transforms))](x)


class Transformed(Noisy):
    def __init__(self, transform: Any) -> None:
        super().__init__(20)
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = super().__getitem__(index)
        return self.transform(x), y


def nested(depth: int) -> Randomizable:
    transform = Randomizable()
    for _ in range(depth):
        transform = Compose(OneOf(transform, Randomizable()))
    return transform


class NestedTransforms(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Transformed(nested(6)), batch_size=4, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(Transformed(nested(1)), batch_size=4)


class ShuffledValidation(NoisyData):
    def val_dataloader(self) -> Any:
        generator = torch.Generator().manual_seed(7)
        return DataLoader(Noisy(20), batch_size=3, shuffle=True, generator=generator)


class ByValidationStep(Model):
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        super().validation_step(batch, batch_idx)
        self.log("val/by_step", self.loss(batch), on_step=True, on_epoch=False)


class MetricOverEpochs(Model):
    def __init__(self) -> None:
        super().__init__()
        self.mean = torchmetrics.MeanMetric()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        loss = super().training_step(batch, batch_idx)
        self.mean.update(loss.detach())
        self.log("train/step", loss, on_step=True, on_epoch=False)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train/mean", self.mean.compute())


class Manual(Model):
    """Two optimizers, each with a schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.second = torch.nn.Linear(4, 1)

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        losses = (self.loss(batch), torch.nn.functional.mse_loss(self.second(batch[0]), batch[1]))
        for optimizer, loss in zip(self.optimizers(), losses, strict=True):  # type: ignore[arg-type]
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()  # type: ignore[call-arg]

    def configure_optimizers(self) -> Any:
        first = torch.optim.Adam(self.layers.parameters(), lr=1e-2)
        second = torch.optim.SGD(self.second.parameters(), lr=1e-2, momentum=0.9)
        return [first, second], [torch.optim.lr_scheduler.StepLR(each, 7, 0.5) for each in (first, second)]

    def on_train_epoch_start(self) -> None:
        """The parent's is for one optimizer."""


class Unfreezing(Model):
    """Its first layers are trained from the second epoch on."""

    def __init__(self) -> None:
        super().__init__()
        BaseFinetuning.freeze(self.layers[:2])

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == 1:
            BaseFinetuning.make_trainable(self.layers[:2])


class Container(LightningContainer):
    def __init__(
        self,
        *,
        data: Callable[[], Any] = NoisyData,
        model: Callable[[], Model] = Model,
        arguments: dict[str, Any] | None = None,
        callbacks: Callable[[], list[Callback]] = list,
        **parameters: Any,
    ) -> None:
        super().__init__(num_epochs=3, pl_log_every_n_steps=1, **parameters)
        self.data, self.network, self.arguments, self.own_callbacks = data, model, arguments, callbacks

    def create_model(self) -> Any:
        return self.network()

    def get_data_module(self) -> Any:
        return self.data()

    def get_trainer_arguments(self) -> dict[str, Any]:
        return dict(self.arguments or {})

    def get_callbacks(self) -> list[Callback]:
        return self.own_callbacks()


def early_stopping() -> list[Callback]:
    return [EarlyStopping("val/loss", patience=2, min_delta=10.0)]


def own_checkpoints() -> list[Callback]:
    return [ModelCheckpoint(dirpath="checkpoints", filename="best", monitor="val/loss", save_last=True)]


def averaging() -> list[Callback]:
    return [StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1, annealing_epochs=2)]


CASES: dict[str, dict[str, Any]] = {
    "a numpy generator": {"data": NumpyGenerator},
    "a torch generator": {"data": TorchGenerator},
    "a sampler of one's own": {"data": OwnSampler},
    "nested transforms with generators of their own": {"data": NestedTransforms},
    "a generator of the validation loader": {"data": ShuffledValidation, "model": ByValidationStep},
    "persistent workers": {"data": PersistentWorkers},
    "a metric over all epochs, values by step": {"model": MetricOverEpochs},
    "two optimizers, by hand": {"model": Manual},
    "layers that are frozen at first": {"model": Unfreezing},
    "max_steps": {"arguments": {"max_steps": 13, "max_epochs": -1}},
    "double precision": {"arguments": {"precision": "64-true"}},
    "bfloat16": {"arguments": {"precision": "bf16-mixed"}},
    "accumulated gradients": {"arguments": {"accumulate_grad_batches": 3}},
    "validation within an epoch": {"arguments": {"val_check_interval": 0.4}},
    "validation every other epoch": {"pl_check_val_every_n_epoch": 2},
    "early stopping": {"callbacks": early_stopping},
    "checkpoints of one's own": {"callbacks": own_checkpoints},
    "averaged weights": {"callbacks": averaging},
}


def result(folder: Path) -> list[str]:
    paths = RunPaths(folder)
    last, best = read_checkpoint(paths.last_checkpoint), read_checkpoint(paths.best_checkpoint)
    metrics = json.dumps(last["callbacks"]["Recovery"]["metrics"])
    hashes = [weights_sha256(each["state_dict"]) for each in (last, best)]
    return [*hashes, str(last["global_step"]), metrics, paths.metrics_csv.read_text()]


@pytest.mark.parametrize("case", CASES)
def test_a_restart_carries_on(tmp_path: Path, case: str) -> None:
    train(Container(**CASES[case]), tmp_path / "whole")
    for epoch, batch in ((0, 3), (2, 1)):
        folder = tmp_path / f"killed in {epoch}"
        broken = Container(**CASES[case])
        # Made when they are asked for: a relative dirpath counts from the working directory of that moment.
        broken.own_callbacks = lambda at=(epoch, batch), own=broken.own_callbacks: [*own(), KillAt(*at)]
        with pytest.raises(Killed):
            train(broken, folder)
        train(Container(**CASES[case]), folder)
        assert result(folder) == result(tmp_path / "whole"), f"killed in epoch {epoch} at batch {batch}"


class ManualByStep(Manual):
    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        super().training_step(batch, batch_idx)
        self.log("train/by_step", self.loss(batch), on_step=True, on_epoch=False)


def points(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: of each metric, the step and the value of each point.

    It reads files by their names, which have the second and the number of the writer in its process. Attempts of one
    process in one second are in order here, as those of two processes are by themselves.
    """
    with TemporaryDirectory() as ordered:
        for file in (RunPaths(folder).logs / "tensorboard").glob("events.*"):
            name, _, number = file.name.rpartition(".")
            (Path(ordered) / f"{name}.{int(number):06}").symlink_to(file)
        events = EventAccumulator(ordered, size_guidance={"scalars": 0})
        events.Reload()
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_with_two_optimizers_no_row_and_no_point_of_a_broken_epoch_is_there_twice(tmp_path: Path) -> None:
    """Lightning's `global_step` counts the steps of both; rows and points count batches."""
    train(Container(model=ManualByStep), tmp_path / "whole")
    for epoch, batch in ((0, 3), (1, 1), (2, 4)):
        folder = tmp_path / f"killed in {epoch}"
        with pytest.raises(Killed):
            train(Container(model=ManualByStep, callbacks=lambda at=(epoch, batch): [KillAt(*at)]), folder)
        train(Container(model=ManualByStep), folder)
        assert result(folder) == result(tmp_path / "whole")
        assert points(folder) == points(tmp_path / "whole")
    shown = points(tmp_path / "whole")["train/by_step"]
    assert [step for step, _ in shown] == list(range(15))


def test_transforms_with_states_from_the_operating_system_are_seeded_with_the_run(tmp_path: Path) -> None:
    runs = [train(Container(data=NestedTransforms), tmp_path / name) for name in "ab"]
    assert result(tmp_path / "a") == result(tmp_path / "b")
    other = Container(data=NestedTransforms, random_seed=1)
    train(other, tmp_path / "c")
    assert result(tmp_path / "c") != result(tmp_path / "a")
    assert runs[0].progress.epochs == 3


class SmartCached(NoisyData):
    """With a cache that exchanges its items, as MONAI's does."""

    def train_dataloader(self) -> Any:
        class SmartCacheDataset(Noisy):
            pass

        return DataLoader(SmartCacheDataset(20), batch_size=4)


def test_a_cache_that_no_checkpoint_holds_is_named_in_the_record(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(Container(data=SmartCached, callbacks=lambda: [KillAt(1, 2)]), tmp_path)
    resumed = train(Container(data=SmartCached), tmp_path)
    assert resumed.progress.lost == ["the cache of train_dataloader.__dataset"]
    attempt = Attempt(number=3, host="here", started="now")
    assert find_resume_point(RunPaths(tmp_path), attempt, settling=False) is not None
    assert (attempt.resume_exact, len(attempt.because)) == (False, 1)
    assert attempt.because[0].startswith("the cache of train_dataloader.__dataset changes in training")


def test_transforms_that_the_user_seeded_keep_their_state() -> None:
    def drawn(seed: int | None) -> list[float]:
        transform = Compose(Compose(Randomizable()), Randomizable())
        if seed is not None:
            transform.set_random_state(seed)
        seed_transforms({"x": [transform]}, seed=5)
        return transform(torch.zeros(2)).tolist()

    assert drawn(7) != drawn(8) != drawn(None) == drawn(None)
    for count in (0, 1, 623):
        states = [numpy.random.RandomState(seed) for seed in (None, 0, 3, 2**32 - 1)]
        for state in states:
            state.randint(2**32, dtype="uint32", size=count)
        assert [is_seeded(state) for state in states] == [False, True, True, True]


def test_the_search_for_generators_ends_in_whatever_it_is_given() -> None:
    deep: Any = numpy.random.RandomState(0)
    for _ in range(3000):
        deep = SimpleNamespace(inner=deep)
    loop: list[Any] = []
    loop.append({"loop": loop, "deep": deep})
    assert len(extra_state.states({"x": loop})) == 1
    endless = [SimpleNamespace(n=SimpleNamespace()) for _ in range(extra_state._MOST)]
    many = [[endless[at : at + 100] for at in range(start, start + 5000, 100)] for start in range(0, 100_000, 5000)]
    assert extra_state.states({"x": many, "y": deep}) == {}
