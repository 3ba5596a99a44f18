"""A run that is killed at any file operation of a save ends, resumed, with the best and last weights of the unbroken
one."""

from __future__ import annotations

import builtins
import io
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from tests.training import models
from tests.training.models import Model, NoisyData
from tests.training.test_checkpointing import SEED, fit, result

from innereye_runtime.run.paths import RunPaths
from innereye_runtime.training.checkpoints import checkpoint_files
from innereye_runtime.training.checkpoints.checkpoint_files import look, pending
from innereye_runtime.training.checkpoints.description import describe_checkpoints
from innereye_runtime.training.checkpoints.weights import read_checkpoint, weights_sha256
from innereye_runtime.training.lifecycle.seeding import seed_run

pytestmark = pytest.mark.filterwarnings("ignore")

EPOCHS = 3
VALUES = (3.0, 1.0, 2.0)
"""Of what is monitored: the second epoch is the best, so that a best checkpoint is replaced, and one is kept."""


class Dead(BaseException):
    pass


class Killer:
    """Has the process die at the `at`-th file operation below a folder: it does none from then on."""

    def __init__(self, folder: Path, at: int) -> None:
        self.folder, self.at, self.count = str(folder), at, 0
        self.written: list[object] = []

    def watched(self, operation: Callable[..., Any], *, partly: bool = False) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            first = partly and arguments[0] not in self.written  # of the hundreds of writes to a file
            if first:
                self.written.append(arguments[0])
            if first or any(isinstance(each, str | Path) and self.folder in str(each) for each in arguments):
                self.count += 1
                if self.count >= self.at:
                    if first and self.count == self.at:
                        operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
                    raise Dead
            return operation(*arguments, **options)

        return run

    def arm(self, patch: pytest.MonkeyPatch) -> None:
        for module, name in ((os, "replace"), (os, "rename"), (os, "unlink"), (os, "link"), (shutil, "copyfile")):
            patch.setattr(module, name, self.watched(getattr(module, name)))
        opened = self.watched(io.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        patch.setattr(checkpoint_files._Told, "write", self.watched(checkpoint_files._Told.write, partly=True))


class Scripted(Model):
    """`at_end`: the model changes its weights when training ends, as averaging does."""

    def __init__(self, *, at_end: bool = False) -> None:
        super().__init__()
        self.at_end = at_end

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", VALUES[self.current_epoch % len(VALUES)])
        self.log("val/falling", -float(self.current_epoch))

    def on_train_end(self) -> None:
        if self.at_end:
            for weight in self.parameters():
                weight.data.mul_(0.5)


@pytest.fixture
def few_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.training.test_checkpointing.EPOCHS", EPOCHS)


def run(paths: RunPaths, *, monitor: str, every: int) -> None:
    seed_run(SEED)
    fit(paths, model=Scripted(at_end=True), data=NoisyData(), monitor=monitor, every=every)


@pytest.mark.usefixtures("few_epochs")
@pytest.mark.parametrize(("monitor", "every", "fewest"), [("val/loss", 1, 17), ("last", 1, 10), ("val/loss", 2, 10)])
def test_killed_at_any_file_operation_a_run_ends_as_the_unbroken_one(
    tmp_path: Path, monitor: str, every: int, fewest: int
) -> None:
    whole = RunPaths(tmp_path / "whole")
    run(whole, monitor=monitor, every=every)
    expected = result(whole)
    assert expected[0] != expected[1] or monitor == "last"
    at = 0
    while True:
        at += 1
        broken = RunPaths(tmp_path / f"broken{at}")
        broken.checkpoints.mkdir(parents=True)
        killer = Killer(broken.checkpoints, at)
        with pytest.MonkeyPatch.context() as patch:
            killer.arm(patch)
            with suppress(Dead):
                run(broken, monitor=monitor, every=every)
        if killer.count < at:
            break
        newest = look(broken).newest
        if newest is None or not newest.progress.finished:
            run(broken, monitor=monitor, every=every)
        assert result(broken) == expected, f"killed at file operation {at}"
        assert not pending(broken).exists()
        shutil.rmtree(broken.root)
    assert at > fewest


@pytest.mark.usefixtures("few_epochs")
def test_what_the_end_of_training_changes_is_in_last_and_not_in_best(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    model = Scripted(at_end=True)
    fit(paths, model=model, data=NoisyData(), monitor="val/falling")
    last = read_checkpoint(paths.last_checkpoint)
    assert weights_sha256(last["state_dict"]) == weights_sha256(model.state_dict())
    best = read_checkpoint(paths.best_checkpoint)
    assert best["callbacks"]["Recovery"]["best_epoch"] == EPOCHS - 1  # the weights that its value is of
    weight = "layers.0.weight"
    assert (best["state_dict"][weight] * 0.5).equal(last["state_dict"][weight])


class NoBatchNorm(Model):
    def __init__(self) -> None:
        super().__init__()
        self.layers[1] = torch.nn.Identity()


@pytest.mark.usefixtures("few_epochs")
def test_averaged_weights_are_in_the_last_checkpoint_also_where_a_kill_comes_between(tmp_path: Path) -> None:
    """Without BatchNorm, StochasticWeightAveraging puts them into the model in its `on_train_end`, and no epoch
    follows."""
    lasts = []

    def averaged(paths: RunPaths) -> None:
        seed_run(SEED)
        model = NoBatchNorm()
        averaging = pl.callbacks.StochasticWeightAveraging(swa_lrs=1e-2, swa_epoch_start=1, annealing_epochs=2)
        fit(paths, averaging, model=model, data=NoisyData())
        assert averaging._average_model is not None
        assert weights_sha256(averaging._average_model.state_dict()) == weights_sha256(model.state_dict())
        lasts.append(weights_sha256(read_checkpoint(paths.last_checkpoint)["state_dict"]))
        assert lasts[-1] == weights_sha256(model.state_dict())

    averaged(RunPaths(tmp_path / "whole"))
    broken = RunPaths(tmp_path / "broken")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Dead):
        patch.setattr("innereye_runtime.training.checkpoints.checkpointing.Recovery._finish", dies)
        averaged(broken)
    averaged(broken)
    assert lasts[0] == lasts[1]


def dies(*_: Any) -> None:
    raise Dead


@pytest.mark.usefixtures("few_epochs")
def test_a_best_checkpoint_that_is_lost_or_of_another_epoch_is_replaced_and_named(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    run(paths, monitor="val/loss", every=1)
    kept = paths.best_checkpoint.read_bytes()
    for content in (kept[: len(kept) // 2], b"", paths.last_checkpoint.read_bytes()):
        paths.best_checkpoint.write_bytes(content)
        found = look(paths)
        assert found.newest is not None
        assert found.newest.path == paths.last_checkpoint
        assert any("the best checkpoint, of epoch 2, is lost" in note for note in found.notes)
        assert found.newest.progress.best_epoch == EPOCHS - 1
        assert found.newest.progress.best_value == VALUES[-1]
        assert read_checkpoint(paths.best_checkpoint)["callbacks"]["Recovery"]["epochs"] == EPOCHS


@pytest.mark.usefixtures("few_epochs")
def test_flipped_bits_are_never_taken_silently(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    run(paths, monitor="val/loss", every=1)
    content = paths.last_checkpoint.read_bytes()
    sound = weights_sha256(read_checkpoint(paths.last_checkpoint)["state_dict"])
    damaged = 0
    for position in range(0, len(content), len(content) // 100):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        paths.last_checkpoint.write_bytes(flipped)
        found = look(paths, settling=False)
        assert found.newest is not None
        if found.newest.path == paths.last_checkpoint:  # in what pads a file
            assert weights_sha256(read_checkpoint(paths.last_checkpoint)["state_dict"]) == sound
        else:
            damaged += 1
            assert found.notes[0].startswith("checkpoints/last.ckpt can't be read: ")
    assert damaged > 30


@pytest.mark.usefixtures("few_epochs")
def test_each_kind_of_unreadable_checkpoint_has_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = RunPaths(tmp_path)
    run(paths, monitor="val/loss", every=1)
    content = paths.last_checkpoint.read_bytes()

    def reason() -> str:
        return look(paths, settling=False).notes[0].partition("can't be read: ")[2]

    paths.last_checkpoint.write_bytes(content[:-100])
    assert reason() == "it is cut short, or not a checkpoint"
    middle = bytearray(content)
    start = content.index(b"PK\x05\x06") // 2
    middle[start : start + 64] = bytes(64)
    paths.last_checkpoint.write_bytes(middle)
    assert "checksum" in reason() or "cut short" in reason()
    checkpoint = read_checkpoint(paths.best_checkpoint)
    passing = type("Passing", (), {"__module__": models.__name__})
    monkeypatch.setattr(models, "Passing", passing, raising=False)
    checkpoint["mine"] = passing()
    torch.save(checkpoint, paths.last_checkpoint)
    monkeypatch.undo()
    assert reason().startswith("what it holds can't be imported here: ")
    assert "Passing" in reason()


@pytest.mark.usefixtures("few_epochs")
def test_best_and_last_share_no_block_and_nothing_goes_through_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", None)
    paths = RunPaths(tmp_path / "run")
    mine = pl.callbacks.ModelCheckpoint(paths.checkpoints / "mine", save_last=True)
    fit(paths, mine, model=Model(), data=NoisyData(), monitor="last")
    assert paths.best_checkpoint.stat().st_nlink == paths.last_checkpoint.stat().st_nlink == 1
    assert (paths.checkpoints / "mine" / "last.ckpt").exists()
    assert sorted(path.name for path in paths.checkpoints.iterdir()) == ["best.ckpt", "last.ckpt", "mine"]


@pytest.mark.usefixtures("few_epochs")
def test_a_copy_is_of_bytes_and_checksums_are_written_whatever_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_reference(*_: Any) -> int:
        raise AssertionError("the file system may let the copy share the blocks of its source")

    for name in ("copy_file_range", "sendfile", "link"):
        monkeypatch.setattr(os, name, by_reference)
    torch.serialization.set_crc32_options(False)
    try:
        paths = RunPaths(tmp_path / "run")
        fit(paths, model=Model(), data=NoisyData(), monitor="last")
        assert not torch.serialization.get_crc32_options()
    finally:
        torch.serialization.set_crc32_options(True)
    assert paths.best_checkpoint.read_bytes() == paths.last_checkpoint.read_bytes()
    assert look(paths).notes == ()


def test_a_description_reads_one_tensor_at_a_time(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.checkpoints.mkdir()
    weights = {str(number): torch.full((4 << 20,), float(number)) for number in range(8)}  # of 16 MB each
    state = {"epochs": 1, "metrics": {}}
    torch.save({"state_dict": weights, "callbacks": {checkpoint_files.STATE_KEY: state}}, paths.last_checkpoint)
    expected = weights_sha256(weights)
    del weights
    most, ended = [0], threading.Event()

    def own_memory() -> int:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) // 1024

    def watch() -> None:
        while not ended.wait(0.002):
            most[0] = max(most[0], own_memory())

    before = own_memory()
    watcher = threading.Thread(target=watch)
    watcher.start()
    described = describe_checkpoints(paths, checkpoint_files.Progress())
    ended.set()
    watcher.join()
    assert described["last"]["weights_sha256"] == expected
    assert most[0] - before < 64, "MB"
