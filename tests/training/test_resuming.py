"""Checkpoints that can't be read are named, and starting over is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from innereye_runtime.cli.commands.resume import _set_aside
from innereye_runtime.errors import UsageError
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import Attempt
from innereye_runtime.training.checkpoints.resuming import find_resume_point


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
