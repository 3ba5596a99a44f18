"""The running side under a launcher that somebody else calls: one run folder, the right ranks, and none too many."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.launch.test_ranks_of_one_machine import several_project

RUNTIME = str(Path(sys.executable).with_name("innereye-runtime"))
LAUNCHERS = {
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--no-python"],
    # Root has to say so, and a machine of two slots may have none free.
    "Open MPI": ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", "2"],
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_two_processes_that_are_started_by_hand_are_one_run(
    launcher: str, tmp_path: Path, needs: Callable[..., None]
) -> None:
    needs("torch", *(["mpirun"] if launcher == "Open MPI" else []))
    project = several_project(tmp_path, "processes: 2")

    def by_hand(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*LAUNCHERS[launcher], RUNTIME, "--run-folder=by-hand", "several.yaml", *words]
        return subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=240)

    refused = by_hand("--alone=True")
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0, output
    # The launcher ends the other rank when one is refused.
    assert re.search(rf"{launcher} started this process as rank \d, one of 2, and the trainer has 1", output), output
    assert "set compute.nodes and compute.processes to what was started" in output
    run = project.root / "by-hand"
    assert not list(run.glob("checkpoints/*.ckpt"))
    run.rename(project.root / "refused")

    done = by_hand("--rows=8")
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], len(record["attempts"])) == ("completed", 1)
    node = "-" if launcher == "torchrun" else "0"  # which calls it GROUP_RANK
    assert [(run / f"variables{rank}.txt").read_text() for rank in (0, 1)] == [f"0 0 {node} 2 2", f"1 1 {node} 2 2"]
    assert sorted((run / "order.txt").read_text().split()) == [
        *("all_ranks", "all_ranks", "global_rank_zero", "local_rank_zero", "setup", "setup")
    ]
    assert {path.parent for path in project.root.rglob("run.json")} == {run, project.root / "refused"}
