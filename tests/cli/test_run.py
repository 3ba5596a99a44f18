"""What the commands around a run promise to scripts: one real run, and what is asked of its folder afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.projects import Project, tiny_project

from innereye_runtime.cli.commands.run import conclude
from innereye_runtime.cli.main import main
from innereye_runtime.cli.ui.outcome import NO_RUN, outcome
from innereye_runtime.manifest.schema import schema_text
from innereye_runtime.run.output_manifest import write_outputs
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord

MANIFEST = """\
schema: 1
container: {class: Tiny, namespaces: [tiny]}
trainer: {num_epochs: 1}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, needs: Callable[..., None]) -> Project:
    needs("torch")
    return tiny_project(tmp_path_factory.mktemp("project"), MANIFEST)


@pytest.fixture(scope="module")
def answer(project: Project) -> dict[str, object]:
    """What `--json` printed for a run."""
    done = project.run("--json", "tiny.yaml")
    assert done.exit_code == 0, done.stderr
    assert "epoch 1 of 1" in done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture
def run(answer: dict[str, object]) -> Path:
    return Path(str(answer["run"]))


def test_json_tells_the_state_the_metrics_and_the_weights(answer: dict[str, object], run: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    assert list(answer) == ["run", "state", "exit_code", "metrics", "weights_sha256"]
    assert (answer["state"], answer["exit_code"]) == ("completed", 0)
    assert answer["metrics"] == json.loads((run / "metrics.json").read_text())
    assert answer["weights_sha256"] == record["checkpoints"]["last"]["weights_sha256"]
    assert run.is_absolute()


def test_the_weights_are_those_of_the_last_checkpoint(tmp_path: Path) -> None:
    checkpoints = {"best": {"weights_sha256": "b"}, "last": {"weights_sha256": "a"}}
    RunRecord(id="x", model="x", target="process", checkpoints=checkpoints).write(RunPaths(tmp_path))
    assert outcome(str(tmp_path), 0)["weights_sha256"] == "a"


def test_a_run_that_wrote_no_record_has_an_answer(tmp_path: Path) -> None:
    assert outcome(str(tmp_path), 143) == {**NO_RUN, "run": str(tmp_path), "state": "stopped", "exit_code": 143}


def test_json_answers_also_where_nothing_was_started(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(project.root / "missing.yaml")]) == 2
    out, err = capsys.readouterr()
    nothing = {"run": None, "state": "failed", "exit_code": 2, "metrics": {}, "weights_sha256": None}
    assert json.loads(out) == nothing
    assert err.startswith("error: there is no manifest")


def test_the_last_line_is_the_run_folder_and_the_users_exit_code_is_passed_through(project: Project) -> None:
    done = project.run("tiny.yaml", "--misbehaviour=exit")
    assert done.exit_code == 42
    assert json.loads((Path(done.stdout.splitlines()[-1]) / "run.json").read_text())["exit_code"] == 42


@pytest.mark.parametrize(
    ("redirection", "unbuffered"),
    [
        ("> >(exit)", ""),
        ("> >(exit)", "1"),
        ("2> >(exit)", ""),
        (">&-", ""),
        ("<&- 2>&-", ""),
        ("> /dev/full", ""),
    ],
)
def test_the_exit_code_is_the_users_wherever_the_output_goes(
    project: Project, needs: Callable[..., None], redirection: str, unbuffered: str
) -> None:
    needs("bash")
    words = " ".join(project.command("tiny.yaml", "--misbehaviour=exit"))
    done = subprocess.run(
        ["bash", "-c", f"{words} {redirection}"],
        cwd=project.root,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        timeout=120,
    )
    assert done.returncode == 42, done.stderr
    assert "Errno" not in done.stderr
    if "full" in redirection:
        (told,) = [line for line in done.stderr.splitlines() if "innereye" not in line and "can't be written" in line]
        assert str(project.root / "outputs") in told


def test_a_full_disk_below_standard_output_is_told(project: Project, needs: Callable[..., None]) -> None:
    needs("bash")
    words = " ".join(project.command("--version"))
    done = subprocess.run(
        ["bash", "-c", f"{words} > /dev/full"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    assert done.returncode == 3
    assert done.stderr == "error: standard output can't be written: No space left on device\n"


def test_a_dataset_of_a_user_who_is_not_here_is_a_path_that_is_not_there(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = project.write("tilde.yaml", f"{MANIFEST}dataset: {{local: ~no-such-user/data}}\n")
    assert main(["validate", str(manifest)]) == 0
    assert main([str(manifest)]) == 5
    assert f"{project.root}/~no-such-user/data" in capsys.readouterr().err
    assert main([str(project.root / "tiny.yaml"), "--local_dataset=~no-such-user/data"]) == 5


def test_verify(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(run)]) == 0
    assert capsys.readouterr().out == f"{run}: every file is as it was written\n"

    written = (run / "args.txt").read_bytes()
    (run / "args.txt").write_bytes(written.replace(b"num_epochs = 1", b"num_epochs = 9"))
    try:
        assert main(["verify", str(run)]) == 6
    finally:
        (run / "args.txt").write_bytes(written)
    hint = "the folder was changed after the run: restore these files, or run its manifest.yaml again"
    assert capsys.readouterr() == ("", f"error: args.txt has another content\nhint: {hint}\n")

    listed = (run / "outputs.json").read_bytes()
    (run / "outputs.json").unlink()
    try:
        assert main(["verify", str(run)]) == 6
    finally:
        (run / "outputs.json").write_bytes(listed)
    err = capsys.readouterr().err
    assert "outputs.json is not there: the run did not end well, or was not finished\n" in err
    assert f"innereye-run resume {run} resumes it" in err


def test_a_report_that_is_written_again_leaves_a_whole_folder_whole(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "report.html").write_text("as an older version wrote it")
    write_outputs(run)
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    assert main(["verify", str(run)]) == 0


def test_a_report_does_not_hide_that_a_file_was_changed(run: Path) -> None:
    written = (run / "args.txt").read_bytes()
    (run / "args.txt").write_bytes(b"")
    try:
        assert main(["report", str(run)]) == 0
        assert main(["verify", str(run)]) == 6
    finally:
        (run / "args.txt").write_bytes(written)


def test_a_complete_run_is_not_resumed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "run.json").read_bytes()
    assert main(["resume", str(run)]) == 0
    assert capsys.readouterr() == (f"{run}\n", f"{run.name} is complete; there is nothing to resume\n")
    assert (run / "run.json").read_bytes() == before


def test_a_run_that_failed_is_resumed_in_its_folder(project: Project) -> None:
    failed = project.run("tiny.yaml", "--misbehaviour=raise")
    folder = Path(failed.stdout.splitlines()[-1])
    manifest = folder / "manifest.yaml"
    manifest.write_text(manifest.read_text().replace("misbehaviour: raise", "misbehaviour: ''"))

    resumed = project.run("resume", str(folder))

    record = json.loads((folder / "run.json").read_text())
    assert (failed.exit_code, resumed.exit_code) == (1, 0)
    assert Path(resumed.stdout.splitlines()[-1]) == folder
    assert [attempt["state"] for attempt in record["attempts"]] == ["failed", "completed"]


def test_the_schema_of_manifests_is_the_file_that_they_are_checked_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == schema_text()


def test_the_schema_of_a_container_has_its_own_parameters_and_those_of_its_bases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).with_name("project"))
    assert main(["schema", "--container", "my_configs.tiny:Tiny"]) == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    problems = Draft202012Validator(schema).iter_errors({"num_layers": 70, "l_rate": "fast", "num_epochs": 2, "x": 1})
    assert {error.validator for error in problems} == {"maximum", "type", "additionalProperties"}


def test_explain_imports_a_class_whose_source_does_not_tell_all_and_says_so(
    needs: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("torch")
    monkeypatch.chdir(Path(__file__).with_name("project"))
    monkeypatch.setattr("sys.path", sys.path.copy())
    assert main(["explain", "computed.yaml"]) == 0
    out, err = capsys.readouterr()
    assert err == "note: the source of Computed does not show threads: my_configs.tiny was imported for it\n"
    assert [line.split()[1] for line in out.splitlines() if line.startswith("  threads")] == ["5"]


def test_explain_without_torch_says_what_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(Path(__file__).with_name("project"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["explain", "computed.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "the class cannot be imported without torch" in err
    assert [line.split()[1] for line in out.splitlines() if line.startswith("  threads")] == ["unknown"]


def test_the_run_is_named_by_what_it_is_when_the_job_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    class Elsewhere:
        run = "azureml://job"

        def wait(self) -> int:
            self.run = "/outputs/run"
            return 3

    handle = Elsewhere()
    ended: list[dict[str, Any]] = []
    assert conclude(handle, handle.wait, as_json=False, ended=ended) == 3
    assert capsys.readouterr().out == "/outputs/run\n"
    assert [one["run"] for one in ended] == ["/outputs/run"]
