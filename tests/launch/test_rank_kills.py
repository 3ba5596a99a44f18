"""A rank that dies ends the job in ten seconds with its own cause, whatever killed it, and leaves nothing.

On target process; tests/targets/docker and tests/slurm have theirs. One of each cause by default;
INNEREYE_RANK_KILLS=40 takes forty.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from tests.launch.rank_kills import kill

COUNT = int(os.environ.get("INNEREYE_RANK_KILLS", "4"))
SHAPES = ((1, 2), (2, 1), (1, 3), (2, 2))
SECONDS = 12
"""Ten, and what the launcher's own end takes."""


def test_a_rank_that_dies_ends_the_job_with_its_own_cause(needs: Callable[..., None], tmp_path: Path) -> None:
    needs("torch")
    shapes = SHAPES[: 2 if COUNT <= 4 else None]
    found = [kill(tmp_path / str(n), n, target="process", shapes=shapes, seconds=SECONDS) for n in range(COUNT)]
    assert not [problem for problems in found for problem in problems]
