"""Folds whose ensemble is a run of its own in a container: it sees the checkpoints of the others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.projects import Project
from tests.targets.docker.conftest import Engine

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 1}
compute: {target: TARGET, docker: {memory: 2g}, shm_size: 64m}
environment: {OMP_NUM_THREADS: "1"}
cross_validation: {splits: 2, ensemble: weights}
"""


def test_an_ensemble_in_a_container_equals_that_of_a_process(engine: Engine, project: Project) -> None:
    found = {}
    for target in ("docker", "process"):
        project.write(f"{target}.yaml", f"name: {target}\n{MANIFEST.replace('TARGET', target)}")
        done = project.run("--json", f"{target}.yaml")
        assert done.exit_code == 0, done.stderr
        result = json.loads(done.stdout)
        folder = Path(result["run"])
        record = json.loads((folder / "ensemble" / "run.json").read_text())
        assert record["target"] == target
        assert (folder / "ensemble" / "checkpoints" / "averaged.ckpt").is_file()
        found[target] = (result["ensemble"], json.loads((folder / "metrics.json").read_text()).get("mean"))
    assert found["docker"] == found["process"]
    assert found["docker"][0]["test"]["test/loss"] > 0
