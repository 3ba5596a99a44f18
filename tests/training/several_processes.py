"""Two processes that train one model, stopped and killed in the middle of an epoch: each continues with what was its
own, and both end with the weights and metrics of the unbroken run. `test_several_processes` runs these tests.
"""

from __future__ import annotations

import math
import os
import random
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
import torchmetrics
from pytorch_lightning.callbacks import Callback, StochasticWeightAveraging, WeightAveraging
from tests.training.harness import train
from tests.training.models import Model, Noisy, NoisyData
from tests.training.test_extra_state import Container, ManualByStep, result
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from innereye_runtime.job.ranks import VARIABLES
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints import open_epoch
from innereye_runtime.training.checkpoints.weights import weights_sha256
from innereye_runtime.training.lifecycle.new_attempt import NewAttemptError
from innereye_runtime.training.lifecycle.signals import StopRequested, stop_on_signals

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's remarks on workers and logging intervals

BATCHES = 7


class Drawn(Noisy):
    """Augmented from the generators of Python, NumPy and PyTorch, and one of its own."""

    def __init__(self) -> None:
        super().__init__(55)  # not to be shared out evenly, neither between processes nor into batches
        self.random = numpy.random.default_rng(5)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = super().__getitem__(index)
        return x + 0.1 * random.random() + 0.1 * float(self.random.normal()), y


class Data(NoisyData):
    def train_dataloader(self) -> Any:
        workers: dict[str, Any] = {"multiprocessing_context": "fork"} if self.workers else {}
        return DataLoader(Drawn(), batch_size=4, shuffle=True, num_workers=self.workers, **workers)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        worker, rank = get_worker_info(), int(os.environ.get("RANK", 0))
        x = Noisy(60).x[rank::2]
        for index in torch.randperm(len(x)).tolist()[(worker.id if worker else 0) :: 2][: 2 * BATCHES]:
            yield x[index] + 0.1 * random.random(), x[index].sum(dim=0, keepdim=True)


class Streamed(NoisyData):
    def train_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=4, num_workers=2, multiprocessing_context="fork")


class Measured(Model):
    """Metrics of each kind, of each process and of all of them; what each process has of its own differs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.mean = torchmetrics.MeanMetric()
        self.seen = 0.0
        self.only: dict[str, Any] = {}
        self.register_buffer("moving", torch.zeros(()))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        note(self, batch_idx)
        loss = super().training_step(batch, batch_idx) * (1 + self.moving.clone())
        self.moving.copy_(0.5 * self.moving + 0.1 * loss.detach())  # of each process, until DDP takes the first one's
        self.log("train/step", loss, on_step=True, on_epoch=True, reduce_fx="max", sync_dist=True)
        self.log("train/own", loss + self.seen, on_step=True, on_epoch=True)
        self.mean(loss.detach())
        self.log("train/mean", self.mean, on_step=False, on_epoch=True)
        self.seen += float(batch[0].sum()) * (1 + self.global_rank)
        if self.global_rank == 0:
            self.log("train/first", loss, on_step=False, on_epoch=True, rank_zero_only=True)
            self.only = {"of the first": [self.seen, {"batch": batch_idx}]}
        self.log("train/only", float(len(self.only)), on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train/seen", self.seen, sync_dist=True)
        self.log("train/drawn", random.random() + float(torch.rand(())) + numpy.random.rand(), sync_dist=True)


def note(model: Any, batch_idx: int) -> None:
    with Path(f"trained-{model.global_rank}.txt").open("a") as file:
        file.write(f"{model.current_epoch} {batch_idx}\n")


class Break(Callback):
    """Sends a signal to one process, or to each, at a batch."""

    def __init__(self, epoch: int, batch: int, signum: int = signal.SIGTERM, ranks: tuple[int, ...] = (0, 1)) -> None:
        self.epoch, self.batch, self.signum, self.ranks = epoch, batch, signum, ranks

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch) and trainer.global_rank in self.ranks:
            os.kill(os.getpid(), self.signum)


def averaging() -> list[Callback]:
    return [StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1, annealing_epochs=2)]


def moving_average() -> list[Callback]:
    return [WeightAveraging(avg_fn=lambda averaged, new, _: 0.9 * averaged + 0.1 * new)]


CASES: dict[str, dict[str, Any]] = {
    "workers, accumulated gradients, averaged weights": {
        "data": lambda: Data(workers=2),
        "callbacks": averaging,
        "arguments": {"accumulate_grad_batches": 3},
    },
    "moving averages, validation within an epoch, a plateau": {
        "data": Data,
        "model": lambda: Measured(scheduler="plateau"),
        "callbacks": moving_average,
        "arguments": {"val_check_interval": 3},
    },
    "a stream": {"data": Streamed},
    "two optimizers, by hand": {
        "data": Data,
        "model": ManualByStep,
        "arguments": {"strategy": "ddp_find_unused_parameters_true"},
    },
    "batches that accumulate, without workers": {"data": Data, "arguments": {"accumulate_grad_batches": 2}},
}


def container(case: dict[str, Any], *more: Callback, processes: int = 2) -> Container:
    whole = {"model": Measured, **case}
    own = whole.pop("callbacks", list)
    arguments = {"devices": processes, "accelerator": "cpu", "strategy": "ddp", **whole.pop("arguments", {})}
    return Container(**whole, arguments=arguments, callbacks=lambda: [*own(), *more])


def together(make: Callable[[], Container], folder: Path, *, processes: int = 2, every: float = math.inf) -> list[int]:
    """The exit codes of as many processes, forked from this one, that train in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = []
    for rank in range(processes):
        child = os.fork()
        if child == 0:
            _be_rank(rank, processes, port, make, folder, every)
        children.append(child)
    deadline = time.monotonic() + 240
    codes: dict[int, int] = {}
    while len(codes) < processes:
        for child in set(children) - codes.keys():
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                codes[child] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            for child in set(children) - codes.keys():
                os.kill(child, signal.SIGKILL)
        time.sleep(0.02)
    return [codes[child] for child in children]


def _be_rank(rank: int, processes: int, port: int, make: Callable[[], Container], folder: Path, every: float) -> None:
    code = 1
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.set_num_threads(1)
        numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
        os.environ.update({name: str(number) for name, number in numbers.items()})
        os.environ.update(NODE_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        open_epoch._SHARE = 0 if math.isfinite(every) else open_epoch._SHARE  # type: ignore[misc]
        with stop_on_signals():
            trained = train(make(), folder, every=every)
        model = trained.trainer.lightning_module.state_dict()
        (folder / f"weights-{rank}.txt").write_text(weights_sha256(model))
        code = 0
    except StopRequested as stop:
        code = stop.exit_code
    except NewAttemptError as error:
        (folder / f"anew-{rank}.txt").write_text(str(error))
        code = 77
    except BaseException:
        (folder / f"log-{rank}.txt").open("a").write(traceback.format_exc())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def outcome(folder: Path, processes: int = 2) -> list[Any]:
    own = [(folder / f"weights-{rank}.txt").read_text() for rank in range(processes)]
    return [*result(folder), *own]


def trained(folder: Path, rank: int = 0) -> list[str]:
    return (folder / f"trained-{rank}.txt").read_text().splitlines()


def logs(folder: Path) -> str:
    return "".join(f"--- {file.name}\n{file.read_text()}" for file in sorted(folder.glob("log-*.txt")))


@pytest.mark.parametrize("case", CASES)
def test_a_stop_of_two_processes_in_the_middle_of_an_epoch_loses_no_batch(tmp_path: Path, case: str) -> None:
    make = CASES[case]
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert together(lambda: container(make), whole) == [0, 0], logs(whole)
    for at, ranks in (((0, 1), (0, 1)), ((1, 3), (1,)), ((2, 2), (0,))):
        codes = together(lambda at=at, ranks=ranks: container(make, Break(*at, ranks=ranks)), run)  # type: ignore[misc]
        assert codes == [143, 143], logs(run)
        assert RunPaths(run).partial_checkpoint.exists(), logs(run)
    assert together(lambda: container(make), run) == [0, 0], logs(run)
    assert outcome(run) == outcome(whole)
    if "by hand" not in case:
        assert [trained(run, rank) for rank in (0, 1)] == [trained(whole, rank) for rank in (0, 1)]
    assert not RunPaths(run).partial_checkpoint.exists()


def test_three_processes_sum_gradients_in_the_order_of_before(tmp_path: Path) -> None:
    """After a stop within an epoch, and a kill in the next one. DDP arranges its buckets after the first batch."""
    make = {"data": Data, "model": Wide}
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert together(lambda: container(make, processes=3), whole, processes=3) == [0, 0, 0], logs(whole)
    stopped = Break(0, 2, ranks=(2,))
    assert together(lambda: container(make, stopped, processes=3), run, processes=3) == [143, 143, 143], logs(run)
    killed = Break(1, 1, signal.SIGKILL, ranks=(0, 1, 2))
    assert together(lambda: container(make, killed, processes=3), run, processes=3) == [-9, -9, -9], logs(run)
    assert together(lambda: container(make, processes=3), run, processes=3) == [0, 0, 0], logs(run)
    assert outcome(run, 3) == outcome(whole, 3)


class Wide(Measured):
    """Enough weights that the place of a gradient matters."""

    def __init__(self) -> None:
        super().__init__()
        layers = (torch.nn.BatchNorm1d(80), torch.nn.ReLU(), torch.nn.Dropout(0.3))
        self.layers = torch.nn.Sequential(torch.nn.Linear(4, 80), *layers, torch.nn.Linear(80, 1))


@pytest.mark.parametrize("ranks", [(1,), (0, 1)])
def test_a_kill_after_a_checkpoint_by_time_loses_the_batches_after_it(tmp_path: Path, ranks: tuple[int, ...]) -> None:
    make = {"data": lambda: Data(workers=2), "arguments": {"accumulate_grad_batches": 2}}
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert together(lambda: container(make), whole) == [0, 0], logs(whole)
    codes = together(lambda: container(make, Break(1, 3, signal.SIGKILL, ranks=ranks)), run, every=0)
    assert [codes[rank] for rank in ranks] == [-9] * len(ranks)
    assert codes[0] != 0
    before = len(trained(run))
    assert together(lambda: container(make), run) == [0, 0], logs(run)
    assert trained(run)[before] == "1 3"
    assert outcome(run) == outcome(whole)


def test_another_number_of_processes_begins_the_epoch_again_and_says_so(tmp_path: Path) -> None:
    make = {"data": Data}
    for processes, said in ((1, "was saved by 2 processes, and now 1 trains"), (3, "by 2 processes, and now 3 train")):
        run = tmp_path / str(processes)
        assert together(lambda: container(make, Break(1, 2)), run) == [143, 143], logs(run)
        other = lambda n=processes: container(make, processes=n)  # type: ignore[misc]  # noqa: E731
        codes = together(other, run, processes=processes)
        if processes == 1:  # only the trainer knows, as Lightning may start the others itself
            assert codes == [77]
            assert said in (run / "anew-0.txt").read_text()
            codes = together(other, run, processes=processes)
        assert codes == [0] * processes, logs(run)
        epochs = [line for line in trained(run) if line.startswith("1 ")]
        assert epochs.count("1 0") == 2


def test_batches_that_do_not_come_again_in_one_process_begin_the_epoch_again_in_all(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert together(lambda: container({"data": Data}, Break(1, 2)), run) == [143, 143], logs(run)
    assert together(lambda: container({"data": OtherInOne}), run) == [77, 77], logs(run)
    assert "the batches that it draws are not those" in (run / "anew-1.txt").read_text()
    assert not RunPaths(run).partial_checkpoint.exists()


class OtherInOne(Data):
    def train_dataloader(self) -> Any:
        loader = super().train_dataloader()
        backwards = list(reversed(range(55)))
        return loader if os.environ["RANK"] == "0" else DataLoader(loader.dataset, batch_size=4, sampler=backwards)


BY_LIGHTNING: dict[str, Any] = {"data": Data, "arguments": {"accumulate_grad_batches": 2}}


def test_processes_that_lightning_starts_are_stopped_and_continue(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert together(lambda: container(BY_LIGHTNING), whole) == [0, 0], logs(whole)
    command = [sys.executable, "-m", "tests.training.ranks_of_lightning", str(run)]
    alone = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment = {**alone, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    for place, code in ((["1", "2"], 143), ([], 0)):
        done = subprocess.run([*command, *place], env=environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == code, done.stdout + done.stderr
    assert result(run) == result(whole)
    assert trained(run, 1) == trained(whole, 1)
