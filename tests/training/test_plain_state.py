"""State in plain attributes of the user's classes: a run that resumes has it, or says that it has not."""

from __future__ import annotations

import copy
import random
from collections import defaultdict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from pytorch_lightning.callbacks import Callback
from tests.training.harness import KillAt, Killed, train
from tests.training.models import Model, Noisy, NoisyData
from tests.training.test_extra_state import Container, result
from torch.utils.data import DataLoader, Sampler

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints.weights import read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")


class Averaged(Callback):
    """An average of the weights as a module of its own, and what it does with it changes training."""

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.module = pl_module
        self.ema = copy.deepcopy(pl_module.layers)
        self.shadows = {"fast": {k: v.clone() for k, v in pl_module.layers.named_parameters()}}

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
        with torch.no_grad():
            for average, weight in zip(self.ema.parameters(), pl_module.layers.parameters(), strict=True):
                average.lerp_(weight, 0.3)
            for name, weight in pl_module.layers.named_parameters():
                self.shadows["fast"][name] = self.shadows["fast"][name].lerp(weight, 0.5)
            if trainer.global_step % 4 == 0:
                for weight, average, fast in zip(
                    pl_module.layers.parameters(), self.ema.parameters(), self.shadows["fast"].values(), strict=True
                ):
                    weight.copy_((average + fast) / 2)


class Schedule:
    """An object of the user's own, with a number in it."""

    def __init__(self) -> None:
        self.stage, self.seen = 0, defaultdict(int)  # type: ignore[var-annotated]
        self.recent = deque([1.0], maxlen=3)


class Curriculum(Model):
    def __init__(self) -> None:
        super().__init__()
        self.schedule = Schedule()
        self.factor = numpy.ones(2)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.schedule.stage += 1
        self.schedule.seen[batch_idx] += 1
        loss = super().training_step(batch, batch_idx)
        self.schedule.recent.append(float(loss))
        self.latest = loss  # with its graph
        self.factor *= 0.97
        return loss * float(self.factor[0]) * (1 + self.schedule.seen[0]) * sum(self.schedule.recent)


class Growing(NoisyData):
    """The share of the data that is used is a number of the data module's."""

    share = 8

    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(self.share), batch_size=4, shuffle=True)


class Grow(Callback):
    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        trainer.datamodule.share += 4


class Cache(Noisy):
    """What it hands out next depends on objects that no checkpoint can hold."""

    def __init__(self) -> None:
        super().__init__(20)
        self.shifts = [object()]

    def __getitem__(self, index: int) -> Any:
        x, y = super().__getitem__(index)
        self.shifts = [*self.shifts[-3:], object()]
        return x + len(self.shifts), y


class Cached(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Cache(), batch_size=4, shuffle=True)


class Reshuffled(Sampler[int]):
    """Its order in an epoch is that of the epoch before, shuffled."""

    def __init__(self) -> None:
        self.order = list(range(20))

    def __iter__(self) -> Iterator[int]:
        random.shuffle(self.order)
        return iter(list(self.order))

    def __len__(self) -> int:
        return 20


class OfOwnOrder(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Noisy(20), batch_size=4, sampler=Reshuffled())


CASES: dict[str, dict[str, Any]] = {
    "an average": {"callbacks": lambda: [Averaged()]},
    "a curriculum": {"model": Curriculum},
    "the order of a sampler": {"data": OfOwnOrder},
    "a share of the data": {
        "data": Growing,
        "callbacks": lambda: [Grow()],
        "arguments": {"reload_dataloaders_every_n_epochs": 1},
    },
}


def killed_and_resumed(case: dict[str, Any], folder: Path) -> Any:
    broken = Container(**case)
    broken.own_callbacks = lambda own=broken.own_callbacks: [*own(), KillAt(1, 0)]  # type: ignore[misc]
    with pytest.raises(Killed):
        train(broken, folder)
    return train(Container(**case), folder)


@pytest.mark.parametrize("case", CASES)
def test_a_restart_has_what_is_in_plain_attributes(tmp_path: Path, case: str) -> None:
    train(Container(**CASES[case]), tmp_path / "whole")
    killed_and_resumed(CASES[case], tmp_path / "killed")
    assert result(tmp_path / "killed") == result(tmp_path / "whole")


def test_what_no_checkpoint_can_hold_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    killed_and_resumed({"data": Cached}, tmp_path)
    warnings = [record.message for record in caplog.records if record.message.startswith("warning: dataset")]
    assert len(warnings) >= 2  # at the first checkpoint, and when the run resumes
    assert set(warnings) == {
        "warning: dataset Cache.shifts changes in training, and no checkpoint holds it: a run that resumes may differ "
        "from an unbroken one.\n  hint: return it from state_dict() of the data module or of a callback, and take it "
        "back in load_state_dict()"
    }
    progress = read_checkpoint(RunPaths(tmp_path).last_checkpoint)["callbacks"]["Recovery"]
    assert progress["lost"] == ["dataset Cache.shifts"]


def test_nothing_else_is_saved(tmp_path: Path) -> None:
    train(Container(), tmp_path)
    progress = read_checkpoint(RunPaths(tmp_path).last_checkpoint)["callbacks"]["Recovery"]
    assert (progress["plain"], progress["lost"]) == (
        {"model": {"rates": [0.01] * 3}},
        [],
    )  # which its own hook appends to
