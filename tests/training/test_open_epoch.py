"""A run that is broken in the middle of an epoch continues there, and ends with the weights and metrics of the unbroken
one."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torchmetrics
from pytorch_lightning.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from tests.training.harness import KillAt, Killed, train
from tests.training.models import Model, Noisy, NoisyData
from tests.training.test_extra_state import (
    Container,
    ManualByStep,
    NestedTransforms,
    NumpyGenerator,
    OwnSampler,
    PersistentWorkers,
    TorchGenerator,
    points,
    result,
)
from tests.training.test_plain_state import Averaged, Curriculum, OfOwnOrder
from torch.utils.data import DataLoader, IterableDataset, Sampler

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import Attempt
from innereye_runtime.training.checkpoints import open_epoch
from innereye_runtime.training.checkpoints.checkpoint_files import look
from innereye_runtime.training.checkpoints.checkpointing import Recovery
from innereye_runtime.training.checkpoints.resuming import find_resume_point
from innereye_runtime.training.lifecycle.new_attempt import NewAttemptError
from innereye_runtime.training.lifecycle.signals import StopRequested, stop_on_signals

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals


class StopAt(Callback):
    """Asks the process to end in a batch of an epoch."""

    def __init__(self, epoch: int, batch: int, signum: int = signal.SIGTERM) -> None:
        self.epoch, self.batch, self.signum = epoch, batch, signum

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            os.kill(os.getpid(), self.signum)


class Counted(Model):
    """Says which batches it was trained on, and has metrics of each kind."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.mean = torchmetrics.MeanMetric()

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        TRAINED.append((self.current_epoch, batch_idx))
        loss = super().training_step(batch, batch_idx)
        self.log("train/step", loss, on_step=True, on_epoch=True, reduce_fx="max")
        if batch_idx == 0:
            self.log("train/first", loss, on_step=False, on_epoch=True)
        self.mean(loss.detach())
        self.log("train/mean", self.mean, on_step=False, on_epoch=True)
        return loss


TRAINED: list[tuple[int, int]] = []


class Stream(IterableDataset[Any]):
    """Its order is drawn when it begins; its length isn't known."""

    def __iter__(self) -> Iterator[Any]:
        items = Noisy(20)
        order = torch.randperm(20).tolist()
        x = items.x
        for index in order:
            yield x[index], x[index].sum(dim=0, keepdim=True)


class Streamed(NoisyData):
    def train_dataloader(self) -> Any:
        workers: dict[str, Any] = {"multiprocessing_context": "fork"} if self.workers else {}
        return DataLoader(Stream(), batch_size=4, num_workers=self.workers, **workers)


class TwoLoaders(NoisyData):
    def train_dataloader(self) -> Any:
        first = super().train_dataloader()
        return [first, DataLoader(Noisy(20), batch_size=4)]


class OfTwoLoaders(Model):
    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return super().training_step(batch[0], batch_idx) + self.loss(batch[1])


def averaging() -> list[Callback]:
    return [StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1, annealing_epochs=2)]


def moving_average() -> list[Callback]:
    return [WeightAveraging(avg_fn=lambda averaged, new, _: 0.9 * averaged + 0.1 * new)]


def early_stopping() -> list[Callback]:
    return [EarlyStopping("val/loss", patience=2, min_delta=10.0)]


class Stateful(NoisyData):
    """torchdata's loader, which has a state of its own."""

    def train_dataloader(self) -> Any:
        from torchdata.stateful_dataloader import StatefulDataLoader

        workers: dict[str, Any] = {"multiprocessing_context": "fork"} if self.workers else {}
        return StatefulDataLoader(Noisy(20), batch_size=4, shuffle=True, num_workers=self.workers, **workers)


STATEFUL: dict[str, dict[str, Any]] = {
    "a stateful loader": {"data": Stateful},
    "a stateful loader with workers": {"data": lambda: Stateful(workers=2)},
    "a stateful loader and max_steps": {"data": Stateful, "arguments": {"max_steps": 15, "max_epochs": -1}},
}
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "workers": {"data": lambda: NoisyData(workers=2)},
    "persistent workers": {"data": PersistentWorkers},
    "a generator of the loader": {"data": lambda: NoisyData(own_generator=True)},
    "a stream": {"data": Streamed},
    "a stream with workers": {"data": lambda: Streamed(workers=2)},
    "accumulated gradients": {"arguments": {"accumulate_grad_batches": 3}},
    "two optimizers, by hand": {"model": ManualByStep},
    "max_steps": {"arguments": {"max_steps": 13, "max_epochs": -1}},
    "validation within an epoch": {"arguments": {"val_check_interval": 0.4}},
    "a schedule by step": {"model": lambda: Counted(scheduler="step")},
    "a plateau": {"model": lambda: Counted(scheduler="plateau")},
    "a numpy generator": {"data": NumpyGenerator},
    "a torch generator": {"data": TorchGenerator},
    "a sampler of one's own": {"data": OwnSampler},
    "the order of a sampler": {"data": OfOwnOrder},
    "plain attributes": {"model": Curriculum, "callbacks": lambda: [Averaged()]},
    "nested transforms": {"data": NestedTransforms},
    "averaged weights": {"callbacks": averaging},
    "moving averages": {"callbacks": moving_average},
    "early stopping": {"callbacks": early_stopping},
    "bfloat16": {"arguments": {"precision": "bf16-mixed"}},
}


def container(case: dict[str, Any], *more: Callback) -> Container:
    whole = {"model": Counted, **case}
    own = whole.pop("callbacks", list)
    return Container(**whole, callbacks=lambda: [*own(), *more])


@pytest.mark.parametrize("case", STATEFUL)
def test_a_loader_with_a_state_of_its_own_resumes_after_a_stop_and_after_an_epoch(
    tmp_path: Path, needs: Callable[..., None], case: str
) -> None:
    needs("torchdata")
    TRAINED.clear()
    train(container(STATEFUL[case]), tmp_path / "whole")
    whole, expected = list(TRAINED), result(tmp_path / "whole")
    for at in ((0, 1), (1, 3)):
        folder = tmp_path / f"stopped at {at}"
        TRAINED.clear()
        with stop_on_signals(), pytest.raises(StopRequested):
            train(container(STATEFUL[case], StopAt(*at)), folder)
        train(container(STATEFUL[case]), folder)
        assert result(folder) == expected, f"stopped at {at}"
        assert whole == TRAINED
    for at in ((1, 0), (2, 3)):
        folder = tmp_path / f"killed at {at}"
        with pytest.raises(Killed):
            train(container(STATEFUL[case], KillAt(*at)), folder)
        train(container(STATEFUL[case]), folder)
        assert result(folder) == expected, f"killed at {at}"


@pytest.mark.parametrize("case", CASES)
def test_a_stop_in_the_middle_of_an_epoch_loses_no_batch(tmp_path: Path, case: str) -> None:
    TRAINED.clear()
    train(container(CASES[case]), tmp_path / "whole")
    whole, expected = list(TRAINED), result(tmp_path / "whole")
    for epoch, batch in ((0, 1), (1, 3)):
        folder = tmp_path / f"stopped in {epoch}"
        TRAINED.clear()
        with stop_on_signals(), pytest.raises(StopRequested):
            train(container(CASES[case], StopAt(epoch, batch)), folder)
        assert RunPaths(folder).partial_checkpoint.exists()
        train(container(CASES[case]), folder)
        assert result(folder) == expected, f"stopped in epoch {epoch} at batch {batch}"
        assert points(folder) == points(tmp_path / "whole")
        assert whole == TRAINED or not whole  # other models don't say what they were trained on
        assert sorted(path.name for path in RunPaths(folder).checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_several_stops_in_one_epoch_and_one_in_the_last_batch(tmp_path: Path) -> None:
    train(container({}), tmp_path / "whole")
    for epoch, batch in ((1, 0), (1, 2), (1, 3), (1, 4), (2, 4)):
        with stop_on_signals(), pytest.raises(StopRequested):
            train(container({}, StopAt(epoch, batch)), tmp_path / "run")
    train(container({}), tmp_path / "run")
    assert result(tmp_path / "run") == result(tmp_path / "whole")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_kill_after_a_checkpoint_by_time_loses_the_batches_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(open_epoch, "_SHARE", 0)
    case = {"data": lambda: NoisyData(workers=workers)}
    train(container(case), tmp_path / "whole")
    for at in ((0, 2), (2, 3)):
        with pytest.raises(Killed):
            train(container(case, KillAt(*at)), tmp_path / f"{at}", every=0)
        TRAINED.clear()
        train(container(case), tmp_path / f"{at}")
        assert TRAINED[0] == at
        assert result(tmp_path / f"{at}") == result(tmp_path / "whole")
        assert points(tmp_path / f"{at}") == points(tmp_path / "whole")


def test_a_full_disk_costs_the_middle_of_an_epoch_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    train(container({}), tmp_path / "whole")

    def full(recovery: Any, trainer: Any, target: Path) -> None:
        if target.name == "partial.ckpt":
            raise OSError(errno.ENOSPC, "No space left on device")
        store(recovery, trainer, target)

    store = Recovery.store
    monkeypatch.setattr(open_epoch, "_SHARE", 0)
    monkeypatch.setattr(Recovery, "store", full)
    train(container({}), tmp_path / "run", every=0)
    assert "as the disk is full: training continues" in caplog.text
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def by_steps() -> ModelCheckpoint:
    return ModelCheckpoint(every_n_train_steps=2, save_top_k=-1, filename="{step}")


def test_where_the_user_saves_by_steps_a_kill_loses_the_steps_since_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_epoch, "_OWN_SHARE", 0)  # these steps take less time than it takes to save them
    train(container({}, by_steps()), tmp_path / "whole")
    with pytest.raises(Killed):
        train(container({}, by_steps(), KillAt(1, 3)), tmp_path / "run")
    TRAINED.clear()
    train(container({}, by_steps()), tmp_path / "run")
    assert TRAINED[0] == (1, 3), "the eighth step, which the user's callback saved, is the third of this epoch"
    assert result(tmp_path / "run") == result(tmp_path / "whole")
    names = [sorted(path.name for path in RunPaths(tmp_path / each).checkpoints.iterdir()) for each in ("run", "whole")]
    assert names[0] == names[1]


def test_a_checkpoint_of_the_users_own_that_cannot_be_resumed_from_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = {"data": DrawnByChance}
    train(container(case, by_steps()), tmp_path / "whole")
    for at, own, than in (
        ((0, 2), "step=2", "the only checkpoint"),
        ((1, 3), "step=8", "newer than checkpoints/partial.ckpt"),  # which has one batch: that order is no chance yet
    ):
        folder = tmp_path / own
        with pytest.raises(Killed):
            train(container(case, by_steps(), KillAt(*at)), folder)
        caplog.clear()
        train(container(case, by_steps()), folder)
        named = f"checkpoints/{own}.ckpt, which the user's code saved, is {than}, and is not resumed from"
        assert len([each for each in caplog.messages if named in each]) == 1
        assert result(folder) == result(tmp_path / "whole")


class BreakInValidation(Callback):
    def __init__(self, *, kills: bool) -> None:
        self.kills = kills

    def on_validation_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (1, 0) and trainer.state.fn == "fit":
            if self.kills:
                raise Killed
            os.kill(os.getpid(), signal.SIGTERM)  # Lightning ends the validation before its next batch


@pytest.mark.parametrize("kills", [True, False], ids=["killed", "stopped"])
@pytest.mark.parametrize("interval", [0.4, 1.0])
def test_a_validation_that_is_broken_off_is_done_again_and_no_training_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interval: float, kills: bool
) -> None:
    monkeypatch.setattr(open_epoch, "_SHARE", 0)
    monkeypatch.setattr(open_epoch, "_WORTH_SECONDS", 0)
    case: dict[str, Any] = {
        "arguments": {"val_check_interval": interval},
        "model": lambda: Counted(scheduler="plateau"),
    }
    train(container(case), tmp_path / "whole")
    with stop_on_signals(), pytest.raises(Killed if kills else StopRequested):
        train(container(case, BreakInValidation(kills=kills)), tmp_path / "run")
    TRAINED.clear()
    train(container(case), tmp_path / "run")
    assert TRAINED[0] == ((1, 2) if interval < 1 else (2, 0))
    assert result(tmp_path / "run") == result(tmp_path / "whole")
    assert points(tmp_path / "run") == points(tmp_path / "whole")


class StoppedInSearch(Counted):
    lr = 0.01

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        if len(TRAINED) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().training_step(batch, batch_idx)


def test_a_stop_ends_the_search_for_a_learning_rate(tmp_path: Path) -> None:
    TRAINED.clear()
    case = {"model": StoppedInSearch, "callbacks": lambda: [LearningRateFinder(num_training_steps=60)]}
    with stop_on_signals(), pytest.raises(StopRequested):
        train(container(case), tmp_path / "run")
    assert len(TRAINED) == 3


class Balanced(Sampler[int]):
    """Draws each of its indices from a generator that training draws from too."""

    def __iter__(self) -> Iterator[int]:
        return (int(numpy.random.randint(20)) for _ in range(20))

    def __len__(self) -> int:
        return 20


class DrawnByChance(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(20), batch_size=4, sampler=Balanced())


class Collecting(Model):
    """Keeps through an epoch what no checkpoint can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen.append(object())
        return super().training_step(batch, batch_idx)

    def on_train_epoch_end(self) -> None:
        self.log("train/seen", float(len(self.seen)))
        self.seen = []


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an order by chance": ({"data": DrawnByChance}, "the order of its batches comes from a generator that training"),
    "two loaders": ({"data": TwoLoaders, "model": OfTwoLoaders}, "the order of its batches comes from a generator"),
    "objects": ({"model": Collecting}, "no checkpoint can hold model.rates, model.seen"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_epoch_that_cannot_be_continued_exactly_is_begun_again_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    what, reason = REFUSED[case]
    train(container(what), tmp_path / "whole")
    with stop_on_signals(), pytest.raises(StopRequested):
        train(container(what, StopAt(1, 3)), tmp_path / "run")
    said = [each for each in caplog.messages if "the middle of an epoch is not saved" in each]
    assert len(said) == 1
    assert reason in said[0]
    assert not RunPaths(tmp_path / "run").partial_checkpoint.exists()
    train(container(what), tmp_path / "run")
    assert result(tmp_path / "run") == result(tmp_path / "whole")


class Shorter(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(4), batch_size=4, shuffle=True)


def test_a_partial_checkpoint_that_is_damaged_or_old_or_of_other_batches_is_not_continued_from(tmp_path: Path) -> None:
    train(container({}), tmp_path / "whole")
    with stop_on_signals(), pytest.raises(StopRequested):
        train(container({}, StopAt(1, 2)), tmp_path / "run")
    paths = RunPaths(tmp_path / "run")
    whole = paths.partial_checkpoint.read_bytes()

    attempt = Attempt(number=2, started="", host="")
    by_two = find_resume_point(paths, attempt, settling=False, processes=2)
    assert by_two is not None
    assert by_two.path == paths.last_checkpoint
    assert attempt.notes == [
        "checkpoints/partial.ckpt was saved by one process, and now 2 train: its epoch is begun again"
    ]

    alone = RunPaths(tmp_path / "stopped in the first epoch")
    alone.checkpoints.mkdir(parents=True)
    alone.partial_checkpoint.write_bytes(whole)
    assert find_resume_point(alone, attempt, settling=False, processes=2) is None

    paths.partial_checkpoint.write_bytes(whole[: len(whole) // 2])
    found = look(paths)
    assert found.newest is not None
    assert found.newest.path == paths.last_checkpoint
    assert found.notes == ("checkpoints/partial.ckpt can't be read: it is cut short, or not a checkpoint",)

    for other in (lambda: NoisyData(own_generator=True), Shorter):
        paths.partial_checkpoint.write_bytes(whole)
        with pytest.raises(NewAttemptError, match="epoch 2 can't be continued, as the batches that it draws are not"):
            train(container({"data": other}), paths.root)
        assert not paths.partial_checkpoint.exists()

    with pytest.raises(Killed):
        train(container({}, KillAt(2, 0)), paths.root)
    paths.partial_checkpoint.write_bytes(
        whole
    )  # as after a kill when last.ckpt had the epoch, and this was not removed yet
    newest = look(paths).newest
    assert newest is not None
    assert newest.path == paths.last_checkpoint
    train(container({}), paths.root)
    assert result(paths.root) == result(tmp_path / "whole")
    assert not paths.partial_checkpoint.exists()
