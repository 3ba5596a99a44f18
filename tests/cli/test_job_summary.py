"""What a job of GitHub or Azure Pipelines shows of a command, and JUnit's XML of a sweep."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.sweep.studies import job_of, record_of

from innereye_runtime.cli.commands import run as command
from innereye_runtime.cli.ui.job_summary import add_cases, add_run
from innereye_runtime.cli.ui.junit import Case
from innereye_runtime.sweep import study
from innereye_runtime.sweep.record import RecordWriter, TrialRecord
from innereye_runtime.sweep.results import write_metrics
from innereye_runtime.sweep.study import StudyResult

CASES = [Case(name="a|b.yaml", suite="validate"), Case(name="c.yaml", suite="validate", failure="<b>no\n`x_y`")]
TABLE = """\
### innereye-run validate

| manifest | result |
| --- | --- |
| a&#124;b.yaml | valid |
| c.yaml | &lt;b>no &#96;x&#95;y&#96; |
"""


def test_a_summary_is_added_where_a_service_has_one_and_nowhere_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path / "s.md")}
    add_cases(CASES, github)
    result = {"state": "failed", "exit_code": 1, "run": "o/r", "metrics": {"test": {"test/auc": 0.25, "test/n": None}}}
    add_run("m.yaml", result, "ValueError: x", github, smoke=True)
    text = (tmp_path / "s.md").read_text()
    assert text.startswith(TABLE)
    assert "### innereye-run --smoke m.yaml\n" in text and "| reason | ValueError: x |" in text
    assert "| test/auc | 0.25 |" in text and "test/n" not in text
    assert capsys.readouterr() == ("", "")

    add_cases(CASES, {"TF_BUILD": "True", "AGENT_TEMPDIRECTORY": str(tmp_path)})
    told = re.fullmatch(r"##vso\[task\.uploadsummary\](.*)\n", capsys.readouterr().err)
    assert told is not None and Path(told[1]).read_text() == TABLE

    add_cases(CASES, {"GITHUB_STEP_SUMMARY": str(tmp_path / "elsewhere.md")})
    add_cases(CASES, {**github, "GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "s.md")})
    assert "the summary of the job can't be written" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere.md").exists()


def test_a_sweep_that_failed_is_a_failure_in_junit_and_in_the_summary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(tmp_path, "{search_space: {x: {values: [1]}}}")
    folder = tmp_path / "s"
    folder.mkdir()

    def start_study(job: Any, **_: Any) -> StudyResult:
        record = record_of(job, folder)
        record.trials = [TrialRecord(name="000", group=0, parameters={"x": 1}, state="failed", exit_code=3)]
        record.state, record.exit_code, record.reason = "failed", 3, "1 of 1 runs failed: 000: no disk"
        RecordWriter(folder, record).write(now=True)
        return StudyResult(folder=folder, record=record, metrics=write_metrics(folder, record))

    monkeypatch.setattr(study, "start_study", start_study)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "s.md"))
    monkeypatch.chdir(tmp_path)
    assert command.run(["--junit", str(tmp_path / "j.xml"), str(job.manifest.path)]) == 3
    assert 'failures="1"' in (tmp_path / "j.xml").read_text()
    assert 'message="1 of 1 runs failed: 000: no disk"' in (tmp_path / "j.xml").read_text()
    assert "| reason | 1 of 1 runs failed: 000: no disk |" in (tmp_path / "s.md").read_text()
