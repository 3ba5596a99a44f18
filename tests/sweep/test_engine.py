"""What a sweep does around its trials: each once, so many at a time, whatever becomes of one of them or of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sweep import studies
from tests.sweep.studies import job_of, starts, use_trial_process

from innereye_runtime.cli.ui.study import start_many
from innereye_runtime.report.sweep_page import sweep_page
from innereye_runtime.run.process_id import identity_of
from innereye_runtime.sweep import study
from innereye_runtime.sweep.record import SweepRecord, TrialRecord
from innereye_runtime.sweep.results import write_metrics
from innereye_runtime.sweep.study import StudyResult

GRID = (
    "{search_space: {x: {values: [3, 1, 99, 2]}}, objective: {primary_metric: f}, limits: {max_concurrent_trials: 2}}"
)


@pytest.fixture(autouse=True)
def _trials(monkeypatch: pytest.MonkeyPatch) -> None:
    use_trial_process(monkeypatch)


def test_a_trial_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "s"
    record = studies.run(job, folder)
    assert [(trial.name, trial.state, trial.value) for trial in record.trials] == [
        *(("000", "completed", 9), ("001", "completed", 1), ("002", "failed", None), ("003", "completed", 4))
    ]
    assert (record.state, record.exit_code, record.reason) == ("completed", 0, "1 of 4 trials failed")
    assert record.best == {"trial": 1, "runs": ["trials/001"], "parameters": {"x": 1}, "value": 1}
    assert sorted(starts(folder)) == ["000", "001", "002", "003"]
    metrics = write_metrics(folder, record)
    assert metrics["trials"]["001"]["metrics"] == {"val": {"f": 1}}
    page = sweep_page(record.to_data(), metrics)
    assert page.count('<a href="trials/001/report.html">') == 3, "as the best one, as a line and in the table"
    assert "<script" not in page


def test_a_sweep_of_failures_fails_with_the_code_of_the_first(tmp_path: Path) -> None:
    record = studies.run(job_of(tmp_path, "{search_space: {x: {values: [99]}}}"), tmp_path / "s")
    assert (record.state, record.exit_code) == ("failed", 1)
    assert "000: failed" in record.reason


def test_a_trial_that_does_not_log_the_primary_metric_failed(tmp_path: Path) -> None:
    sweep = "{search_space: {x: {values: [98]}}, objective: {primary_metric: g}}"
    record = studies.run(job_of(tmp_path, sweep), tmp_path / "s")
    assert record.exit_code == 6
    assert record.trials[0].reason == "the primary metric 'g' was not logged; logged were: f, other"


def test_no_more_trials_run_at_a_time_than_the_limit_says(tmp_path: Path) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "s"
    folder.mkdir()
    (folder / "hold").touch()

    def look() -> None:
        while not (folder / "starts").exists() or len(starts(folder)) < 2:
            time.sleep(0.02)
        time.sleep(0.3)
        seen.append(len(starts(folder)))
        (folder / "go").touch()

    seen: list[int] = []
    watcher = threading.Thread(target=look)
    watcher.start()
    record = studies.run(job, folder)
    watcher.join()
    assert seen == [2]
    assert record.count("completed") == 3
    manifest = (folder / "trials" / "000" / "manifest.yaml").read_text()
    threads = max(1, len(os.sched_getaffinity(0)) // 2)
    assert f'OMP_NUM_THREADS: "{threads}"' in manifest or "OMP_NUM_THREADS" in os.environ


def test_a_sweep_that_is_stopped_stops_its_trials_and_runs_the_rest_when_resumed(tmp_path: Path) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "s"
    folder.mkdir()
    (folder / "hold").touch()

    def stop() -> None:
        while not (folder / "starts").exists() or len(starts(folder)) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop)
    stopper.start()
    record = studies.run(job, folder)
    stopper.join()
    assert (record.state, record.exit_code) == ("stopped", 143)
    assert [trial.state for trial in record.trials] == ["stopped", "stopped", "planned", "planned"]
    (folder / "hold").unlink()
    record = studies.run(job, folder, record)
    assert (record.state, record.count("completed"), record.count("failed")) == ("completed", 3, 1)
    assert sorted(starts(folder)) == ["000", "000", "001", "001", "002", "003"]


def test_a_sweep_that_was_killed_takes_over_the_trials_that_still_run(tmp_path: Path) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "s"
    folder.mkdir()
    (folder / "hold").touch()
    code = (
        "import sys; from pathlib import Path; from tests.sweep import studies;"
        "from innereye_runtime.sweep import workers;"
        "workers.argv_of = lambda folder, **rest: [sys.executable, '-S', '-E', str(studies.TRIAL), str(folder)];"
        "from innereye_runtime.job.resolve import resolve_job;"
        "job = resolve_job(Path(sys.argv[1]), cwd=Path.cwd()); studies.run(job, Path(sys.argv[2]))"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, str(job.manifest.path), str(folder)]
    with subprocess.Popen(command, env=environment, cwd=tmp_path) as first:
        while not (folder / "starts").exists() or len(starts(folder)) < 2:
            assert first.poll() is None
            time.sleep(0.02)
        first.kill()
    record = SweepRecord.read(folder)
    assert [trial.state for trial in record.trials] == ["running", "running", "planned", "planned"]
    (folder / "go").touch()
    record = studies.run(job, folder, record)
    assert [trial.state for trial in record.trials] == ["completed", "completed", "failed", "completed"]
    assert sorted(starts(folder)) == ["000", "001", "002", "003"], "each trial once"


def test_a_trial_that_was_killed_with_its_sweep_is_run_again_and_one_that_was_killed_alone_failed(
    tmp_path: Path,
) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "s"
    folder.mkdir()
    record = studies.record_of(job, folder)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as orphan:
        record.trials = [TrialRecord(name="000", group=0, parameters={"x": 3}, state="running")]
        record.trials[0].launcher = identity_of(orphan.pid)
        threading.Timer(0.5, orphan.kill).start()
        record = studies.run(job, folder, record)
    assert [(trial.state, trial.value) for trial in record.trials] == [("completed", 9)]
    assert starts(folder) == ["000"]

    (folder / "hold").touch()
    record.trials = [TrialRecord(name="001", group=0, parameters={"x": 1})]

    def kill() -> None:
        while "001" not in starts(folder):
            time.sleep(0.02)
        launcher = SweepRecord.read(folder).trials[0].launcher
        assert launcher is not None
        os.kill(int(launcher.partition("-")[0]), signal.SIGKILL)

    threading.Thread(target=kill).start()
    record = studies.run(job, folder, record)
    assert [(trial.state, trial.exit_code) for trial in record.trials] == [("failed", 137)]


def test_a_bayesian_sweep_is_resumed_with_what_it_has_learnt(tmp_path: Path, needs: Callable[..., None]) -> None:
    needs("optuna")
    sweep = (
        "{search_space: {x: {type: uniform, min_value: -5, max_value: 5}}, objective: {primary_metric: f},"
        "sampling_algorithm: bayesian, limits: {max_total_trials: 12, max_concurrent_trials: 1}}"
    )
    job, folder = job_of(tmp_path, sweep), tmp_path / "s"
    record = studies.run(job, folder)
    assert (record.count("completed"), record.exit_code) == (12, 0)
    whole = [trial.parameters["x"] for trial in record.trials]
    record.trials = record.trials[:8]
    record.state = "stopped"
    record = studies.run(job, folder, record)
    assert [trial.parameters["x"] for trial in record.trials][:8] == whole[:8]
    assert len({trial.parameters["x"] for trial in record.trials}) == 12
    assert (folder / "optuna.journal").is_file()


def test_folds_have_a_mean_and_a_deviation_and_all_have_to_be_complete(tmp_path: Path) -> None:
    job = job_of(
        tmp_path,
        "{search_space: {x: {values: [2, 99]}}, objective: {primary_metric: f}}",
        "cross_validation: {splits: 2}",
    )
    folder = tmp_path / "s"
    record = studies.run(job, folder)
    assert [trial.state for trial in record.trials] == ["completed", "completed", "failed", "failed"]
    assert record.best == {"trial": 0, "runs": ["trials/000", "trials/001"], "parameters": {"x": 2}, "value": 4}
    record.splits = 2
    metrics = write_metrics(folder, record)
    assert metrics["over_folds"][0]["mean"] == {"val": {"f": 4}}
    assert metrics["over_folds"][0]["deviation"] == {"val": {"f": 0}}
    assert json.loads((folder / "metrics.json").read_text()) == metrics


@pytest.mark.parametrize(("exit_code", "hinted"), [(130, True), (143, True), (1, False), (0, False)])
def test_a_sweep_that_was_stopped_names_the_command_that_resumes_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exit_code: int,
    hinted: bool,
) -> None:
    job, folder = job_of(tmp_path, GRID), tmp_path / "a sweep"
    record = studies.record_of(job, folder)
    record.exit_code = exit_code
    result = StudyResult(folder=folder, record=record, metrics={})
    monkeypatch.setattr(study, "start_study", lambda job, **_: result)
    monkeypatch.chdir(tmp_path)
    assert start_many(job, as_json=False) == exit_code
    shown = capsys.readouterr()
    assert ("hint: innereye-run resume 'a sweep'\n" in shown.err) == hinted
    assert shown.out == f"{folder}\n"
