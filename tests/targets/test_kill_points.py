"""A job that is killed before a file operation in its run folder ends, resumed, as the unbroken one: process target.

A handful of its eighty operations by default; INNEREYE_KILL_POINTS=1000 takes all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.targets.kill_points import chosen, problems, unbroken

COUNT = int(os.environ.get("INNEREYE_KILL_POINTS", "2"))


def test_a_job_killed_before_any_file_operation_is_resumed_to_the_same(
    needs: Callable[..., None], tmp_path: Path
) -> None:
    needs("torch")
    whole = unbroken(tmp_path / "whole", "process")
    assert whole.operations > 60
    found = {at: list(problems(tmp_path / str(at), "process", at, whole)) for at in chosen(whole.operations, COUNT)}
    assert not {at: each for at, each in found.items() if each}
