"""A trial in a container is stopped early as one of target process is."""

from __future__ import annotations

from pathlib import Path

from tests.sweep.test_early_termination import stop_early
from tests.targets.docker.conftest import Engine


def test_the_container_of_a_trial_that_is_worse_ends(engine: Engine, tmp_path: Path) -> None:
    stop_early(tmp_path, "docker")
    assert engine.names() == []
