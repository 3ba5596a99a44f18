"""The importance of a sweep's parameters: Optuna's own numbers, or the reason for which there are none; `compare`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.sweep import studies
from tests.sweep.studies import job_of, use_trial_process

from innereye_runtime.cli.commands import compare
from innereye_runtime.manifest.sweep import build_sweep
from innereye_runtime.sweep import sampling
from innereye_runtime.sweep.importance import importance_of
from innereye_runtime.sweep.record import SweepRecord, TrialRecord

SPACE = {
    "x": {"type": "uniform", "min_value": -5, "max_value": 5},
    "n": {"type": "choice", "values": [1, "two", 3.5]},
    "q": {"type": "quniform", "min_value": 0, "max_value": 1, "q": 0.25},
}
SWEEP = build_sweep({"search_space": SPACE, "sampling_algorithm": "random", "objective": {"primary_metric": "f"}})


def record_of(values: list[float | None]) -> SweepRecord:
    record = SweepRecord(
        id="s", model="C", target="process", code_root="", primary_metric="f", sampling_algorithm="random"
    )
    for index, value in enumerate(values):
        parameters = {"x": (index * 7 % 11) - 5.0, "n": (1, "two", 3.5)[index % 3], "q": index % 5 * 0.25}
        state: Any = "failed" if value is None else "completed"
        record.trials.append(
            TrialRecord(name=f"{index:03}", group=index, parameters=parameters, state=state, value=value)
        )
    return record


def test_importance_is_that_of_optuna_used_directly(needs: Callable[..., None]) -> None:
    needs("optuna")
    import optuna

    record = record_of([(index * 7 % 11 - 5.0) ** 2 for index in range(40)] + [None])
    study = optuna.create_study()
    d = optuna.distributions
    space = {
        "x": d.FloatDistribution(-5, 5),
        "n": d.CategoricalDistribution((0, 1, 2)),
        "q": d.IntDistribution(0, 4),
    }
    for index, trial in enumerate(record.trials[:40]):
        params = {"x": trial.parameters["x"], "n": index % 3, "q": index % 5}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=trial.value))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    expected = optuna.importance.get_param_importances(study, evaluator=evaluator)
    found = importance_of(SWEEP, record)
    assert found is not None
    assert (found["trials"], found["parameters"]) == (40, expected)
    assert next(iter(found["parameters"])) == "x"


def test_what_has_no_importance_says_why(needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    needs("optuna")
    assert importance_of(None, record_of([1.0])) is None
    assert importance_of(build_sweep({"search_space": {"x": SPACE["x"]}}), record_of([1.0] * 9)) is None
    assert importance_of(SWEEP, record_of([1.0, 2.0, 3.0, None])) == {
        "trials": 3,
        "reason": "3 trials have a value, and 4 are needed",
    }
    assert importance_of(SWEEP, record_of([1.0] * 5)) == {"trials": 5, "reason": "f is the same in all trials"}
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    assert importance_of(SWEEP, record_of([1.0, 2.0, 3.0, 4.0])) == {
        "trials": 4,
        "reason": "pip install 'innereye-runtime[sweep]'",
    }
    assert sampling.JOURNAL


def test_compare_of_a_sweep_has_importance_and_writes_one_page_with_links_to_the_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], needs: Callable[..., None]
) -> None:
    needs("optuna")
    use_trial_process(monkeypatch)
    space = "{search_space: {x: {values: [3, 1, 2]}, n: {values: [1, 2]}}, objective: {primary_metric: f}}"
    folder = tmp_path / "the sweep"
    job = job_of(tmp_path, space)
    studies.run(job, folder)
    (folder / "manifest.yaml").write_text((tmp_path / "m.yaml").read_text())
    capsys.readouterr()
    page = tmp_path / "pages" / "p.html"
    assert compare.run(["--html", str(page), str(folder)]) == 0
    assert re.search(r"^importance +of 6 trials\nx +[\d.]+\n", capsys.readouterr().out, re.M)
    html = page.read_text()
    assert '<svg class="axes"' in html and "<h2>Importance</h2>" in html and html.count("<tr>") > 6
    assert "<script" not in html and "default-src 'none'" in html
    links = set(re.findall(r'href="([^"]+)/report\.html"', html))
    assert "../the%20sweep/trials/000" in links and len(links) == 6
    assert compare.run(["--json", str(folder)]) == 0
    assert next(iter(json.loads(capsys.readouterr().out)["importance"]["parameters"])) == "x"
