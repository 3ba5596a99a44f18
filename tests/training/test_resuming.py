"""Checkpoints that can't be read are named, and starting over is asked for."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import LearningRateFinder, Timer

from innereye_runtime.cli.commands.resume import _set_aside
from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import Attempt
from innereye_runtime.training.checkpoints.checkpoint_files import STATE_KEY, Progress
from innereye_runtime.training.checkpoints.resuming import find_resume_point, note_differences


def test_where_no_checkpoint_can_be_read_starting_over_is_asked_for(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.checkpoints.mkdir()
    attempt = Attempt(number=2, started="", host="")
    assert find_resume_point(paths, attempt, settling=True) is None
    for number in (1, 2):
        paths.last_checkpoint.write_bytes(b"PK not a checkpoint, %d" % number)
        paths.best_checkpoint.write_bytes(b"")
        with pytest.raises(UsageError) as refusal:
            find_resume_point(paths, attempt, settling=True)
        assert "checkpoints/last.ckpt can't be read: it is cut short" in str(refusal.value)
        assert "checkpoints/best.ckpt can't be read: it is empty" in str(refusal.value)
        assert f"innereye-run resume --restart {paths.root}" in refusal.value.hint
        assert len(attempt.notes) == 2 * number
        _set_aside(paths)
        assert find_resume_point(paths, attempt, settling=True) is None
    for number, folder in enumerate(("aside", "aside-2"), start=1):
        assert (paths.checkpoints / folder / "last.ckpt").read_bytes().endswith(b"%d" % number)


def test_another_checkpoint_in_place_of_one_that_cannot_be_read_is_said_and_recorded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = RunPaths(tmp_path)
    paths.checkpoints.mkdir()
    progress = Progress(epochs=1, best_epoch=0, best_step=4, best_value=1.0, monitor="val/loss")
    loops = {"fit_loop": {"epoch_loop.state_dict": {"_batches_that_stepped": 4}}}
    content = {"callbacks": {STATE_KEY: asdict(progress)}, "loops": loops, "global_step": 4, "state_dict": {}}
    torch.save(content, paths.best_checkpoint)
    whole = paths.best_checkpoint.read_bytes()
    paths.last_checkpoint.write_bytes(whole[: len(whole) // 2])
    attempt = Attempt(number=2, started="", host="")
    with caplog.at_level(logging.INFO, "innereye_runtime"):
        logging.getLogger("innereye_runtime").propagate = True
        found = find_resume_point(paths, attempt, settling=True)
    assert found is not None
    assert (attempt.resumed_from, attempt.epoch) == ("checkpoints/best.ckpt", 1)
    note = "checkpoints/last.ckpt can't be read: it is cut short, or not a checkpoint"
    assert attempt.notes == [note]
    assert f"warning: {note}" in caplog.messages
    assert "resuming from checkpoints/best.ckpt after epoch 1" in caplog.messages


def test_what_no_checkpoint_can_make_equal_is_named(caplog: pytest.LogCaptureFixture) -> None:
    trainer: Any = SimpleNamespace(callbacks=[Timer(), Timer(timedelta(seconds=9)), LearningRateFinder()])
    clock = "training ends by the clock (max_time): no two runs end with the same step, broken or not"
    first = Attempt(number=1, started="", host="")
    note_differences(trainer, first, resumed=False)
    assert (first.notes, first.because, first.resume_exact) == ([clock], [], None)
    second = Attempt(number=2, started="", host="", resume_exact=True)
    with caplog.at_level(logging.INFO, "innereye_runtime"):
        note_differences(trainer, second, resumed=True)
    search = "LearningRateFinder runs its search again on resume, and may pick a different value"
    assert (second.notes, second.because, second.resume_exact) == ([], [search, clock], False)
    assert caplog.messages == [f"warning: {search}", f"warning: {clock}"]
    third = Attempt(number=3, started="", host="", resume_exact=True)
    note_differences(SimpleNamespace(callbacks=[Timer()]), third, resumed=True)  # type: ignore[arg-type]
    assert (third.notes, third.because, third.resume_exact) == ([], [], True)
