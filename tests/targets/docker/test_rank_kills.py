"""A rank that dies in a container ends the job on all nodes with its own cause, and no container or network is left.

One by default, whose container runs out of memory; INNEREYE_RANK_KILLS=20 takes twenty of all causes.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.launch.rank_kills import kill
from tests.targets.docker.conftest import Engine

COUNT = int(os.environ.get("INNEREYE_RANK_KILLS", "1"))
FIRST = 3
SHAPES = ((2, 2), (1, 2), (2, 1))
SECONDS = 15
"""Ten, and what the removal of the containers takes."""


def test_a_rank_that_dies_ends_the_job_with_its_own_cause(engine: Engine, tmp_path: Path) -> None:
    for number in range(FIRST, FIRST + COUNT):
        shapes = SHAPES if number > FIRST else SHAPES[:1]
        assert not kill(tmp_path / str(number), number, target="docker", shapes=shapes, seconds=SECONDS)
        (run,) = (tmp_path / str(number) / "outputs").iterdir()
        assert [name for name in engine.names() if name.startswith(run.name)] == []
        assert engine("network", "ls", "--format={{.Name}}", f"--filter=name={run.name}").stdout == ""
