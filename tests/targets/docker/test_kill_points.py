"""A job that is killed before a file operation in its run folder ends, resumed, as the unbroken one: Docker target.

A handful of its eighty operations by default; INNEREYE_KILL_POINTS=1000 takes all of them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.targets.docker.conftest import Engine
from tests.targets.kill_points import chosen, problems, unbroken

COUNT = int(os.environ.get("INNEREYE_KILL_POINTS", "3"))


def test_a_container_killed_before_any_file_operation_is_resumed_to_the_same(engine: Engine, tmp_path: Path) -> None:
    whole = unbroken(tmp_path / "whole", "docker")
    assert whole.operations > 60
    found = {at: list(problems(tmp_path / str(at), "docker", at, whole)) for at in chosen(whole.operations, COUNT)}
    assert not {at: each for at, each in found.items() if each}
    assert engine.names() == []
