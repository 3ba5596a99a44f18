"""A trial that is worse than the others is stopped early: its training ends, and everything that names it says so."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.projects import CONTAINER, Project, tiny_project
from tests.sweep import studies
from tests.sweep.studies import job_of, use_trial_process

from innereye_runtime.report.sweep_page import sweep_page
from innereye_runtime.sweep.handle import SweepHandle
from innereye_runtime.sweep.results import write_metrics

MANIFEST = """\
schema: 1
name: early
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 40}
compute: {target: TARGET, docker: {memory: 2g}, shm_size: 64m}
environment: {OMP_NUM_THREADS: "1"}
sweep:
  search_space: {width: {values: [8, 9]}}
  objective: {primary_metric: val/loss}
  limits: {max_concurrent_trials: 1}
  early_termination: {type: bandit, slack_amount: 10}
"""


@pytest.mark.parametrize("kind", ["median_stopping", "bandit, slack_factor: 0.5", "truncation_selection, PART: 50"])
def test_each_policy_stops_the_trial_that_is_worse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    use_trial_process(monkeypatch)
    sweep = (
        "{search_space: {x: {values: [1, 5]}}, objective: {primary_metric: f}, limits: {max_concurrent_trials: 2},"
        f"early_termination: {{type: {kind.replace('PART', 'truncation_percentage')}, delay_evaluation: 2}}}}"
    )
    job, folder = job_of(tmp_path, sweep), tmp_path / "s"
    folder.mkdir()
    (folder / "hold").touch()

    def let_go() -> None:
        while not (folder / "sweep.json").exists() or "terminated" not in (folder / "sweep.json").read_text():
            time.sleep(0.05)
        (folder / "go").touch()

    watcher = threading.Thread(target=let_go)
    watcher.start()
    record = studies.run(job, folder)
    watcher.join()
    assert [trial.state for trial in record.trials] == ["completed", "terminated"]
    assert record.trials[1].reason.startswith("stopped early after 2 epochs")
    assert record.exit_code == 0
    assert SweepHandle(folder).status()["trials"] == "1 completed, 1 terminated"
    page = sweep_page(record.to_data(), write_metrics(folder, record))
    assert "terminated" in page and "stopped early after 2 epochs" in page


def test_the_training_of_a_trial_that_is_worse_ends(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("torch")
    stop_early(tmp_path, "process")


def stop_early(root: Path, target: str) -> None:
    """Runs a sweep on the target whose second trial is worse by far, and takes a minute."""
    project: Project = tiny_project(root, MANIFEST.replace("TARGET", target))
    worse = "(100 if self.layers[0].out_features == 9 else 0)"
    text = CONTAINER.replace(
        'self.log("val/loss", self.loss(batch))', f'self.log("val/loss", self.loss(batch) + {worse})'
    )
    project.write("tiny.py", text.replace("time.sleep(self.pause)", f"time.sleep(0.003 * {worse})"))
    done = project.run("tiny.yaml")
    assert done.exit_code == 0, done.stderr
    trials = json.loads((done.run / "sweep.json").read_text())["trials"]
    assert [trial["state"] for trial in trials] == ["completed", "terminated"]
    assert trials[1]["reason"].startswith("stopped early after ")
    record = json.loads((done.run / "trials" / "001" / "run.json").read_text())
    assert (record["target"], record["state"], record["exit_code"]) == (target, "stopped", 143)
    assert "1 completed, 1 terminated" in project.run("status", str(done.run)).stdout
    assert "stopped early after" in (done.run / "report.html").read_text()
