"""Several processes and several nodes on a real engine: one model, one record, and the cause of the rank that died."""

from __future__ import annotations

import time
from pathlib import Path

from tests.launch.test_ranks_of_one_machine import run_of, several_project, wait_until
from tests.projects import Result
from tests.targets.docker.conftest import Engine


def test_processes_and_nodes_train_the_model_that_as_many_processes_train_here(engine: Engine, tmp_path: Path) -> None:
    two = run(tmp_path, "processes: 2")
    assert run(tmp_path, "target: docker, processes: 2").weights == two.weights
    four = run(tmp_path, "processes: 4")
    square = run(tmp_path, "target: docker, nodes: 2, processes: 2")
    assert square.weights == four.weights
    variables = [(square.run / f"variables{rank}.txt").read_text() for rank in range(4)]
    assert variables == ["0 0 0 4 2", "1 1 0 4 2", "2 0 1 4 2", "3 1 1 4 2"]
    assert "rank 3 is here" in (square.run / "logs" / "rank-3.log").read_text()
    assert left_of(engine, square.run) == []


def test_a_node_whose_container_is_killed_ends_the_job_with_that_cause(engine: Engine, tmp_path: Path) -> None:
    project = several_project(tmp_path, "target: docker, nodes: 2")
    launcher = project.start("several.yaml", "--way=1 wait_once")
    folder = run_of(project, launcher)
    wait_until(lambda: (folder / "waited1").exists(), 120)
    (node,) = [name for name in left_of(engine, folder) if name.endswith("-node1")]
    assert project.run("ps").stdout.count(folder.name) == 1, "a run is listed once, however many nodes it has"
    killed = time.monotonic()
    engine("kill", "--signal=KILL", node)
    output = launcher.communicate(timeout=30)
    assert time.monotonic() - killed < 15
    assert launcher.returncode == 137, output
    assert '"reason": "node 1: killed from outside (SIGKILL)"' in (folder / "run.json").read_text()
    assert left_of(engine, folder) == []
    assert engine("network", "ls", "--format={{.Name}}", f"--filter=name={folder.name}").stdout == ""


def left_of(engine: Engine, run: Path) -> list[str]:
    """The containers of one run."""
    return [name for name in engine.names() if name.startswith(run.name)]


def run(root: Path, compute: str) -> Result:
    result = several_project(root, compute).run("several.yaml", "--rows=8")
    assert result.exit_code == 0, result.stderr
    return result
