"""Nodes that would begin with different checkpoints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from innereye_runtime.errors import OutputError
from innereye_runtime.training.checkpoints.checkpoint_files import Progress, ResumePoint
from innereye_runtime.training.checkpoints.same_start import SameStart


def test_checkpoints_that_a_node_cant_read_are_no_start(tmp_path: Path) -> None:
    strategy = SimpleNamespace(broadcast=lambda value: (3, 18, 0))  # the first rank resumes from epoch 3
    trainer: Any = SimpleNamespace(strategy=strategy)
    same = ResumePoint(path=tmp_path, step=18, global_step=18, progress=Progress(epochs=3))
    SameStart(same).on_fit_start(trainer, trainer)
    with pytest.raises(OutputError, match="this node has a checkpoint of epoch 2, and the first node has another"):
        SameStart(replace(same, progress=Progress(epochs=2))).on_fit_start(trainer, trainer)
    with pytest.raises(OutputError, match="this node has no checkpoint"):
        SameStart(None).on_fit_start(trainer, trainer)
