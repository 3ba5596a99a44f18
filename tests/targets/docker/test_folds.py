"""Folds whose ensemble is a run of its own in a container: it sees the checkpoints of the others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.projects import Project
from tests.targets.docker.conftest import Engine

MANIFEST = """\
schema: 1
container: {class: HelloContainer}
dataset: {id: hello, local: DATA}
trainer: {num_epochs: 1}
compute: {target: TARGET, docker: {memory: 2g}, shm_size: 64m}
environment: {OMP_NUM_THREADS: "1"}
cross_validation: {splits: 5, ensemble: weights}
"""


def test_five_folds_in_containers_and_their_ensemble_equal_those_of_processes(engine: Engine, project: Project) -> None:
    data = Path(__file__).resolve().parents[3] / "data" / "hello"
    found = {}
    for target in ("docker", "process"):
        text = MANIFEST.replace("TARGET", target).replace("DATA", str(data))
        project.write(f"{target}.yaml", f"name: {target}\n{text}")
        done = project.run("--json", f"{target}.yaml")
        assert done.exit_code == 0, done.stderr
        result = json.loads(done.stdout)
        folder = Path(result["run"])
        record = json.loads((folder / "ensemble" / "run.json").read_text())
        assert record["target"] == target
        assert (folder / "ensemble" / "checkpoints" / "averaged.ckpt").is_file()
        trials = [json.loads(file.read_text()) for file in sorted(folder.glob("trials/*/run.json"))]
        weights = [trial["checkpoints"]["last"]["weights_sha256"] for trial in trials]
        found[target] = (weights, result["ensemble"], json.loads((folder / "metrics.json").read_text()))
    assert found["docker"] == found["process"]
    assert len(set(found["docker"][0])) == 5
    assert found["docker"][1]["test"]["test/accuracy"] > 0
