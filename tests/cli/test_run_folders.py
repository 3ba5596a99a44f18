"""`ls`, `compare` and `rm`, as a person uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.report.folders import RECORD
from tests.run.records import run_folder

from innereye_runtime.cli.main import main
from innereye_runtime.run.mirror_state import MirrorState
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.process_id import current_process
from innereye_runtime.targets.process_runs import ENTRYPOINT, LAUNCHER


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    folder = tmp_path / "outputs"
    for name, loss in (("one", 0.5), ("two", 0.25)):
        arguments = {**RECORD["arguments"], "l_rate": {"value": loss / 10, "origin": "command line"}}
        run_folder(folder, name, metrics={"val": {"val/loss": loss}}, arguments=arguments)
    return folder


def test_ls_shows_the_chosen_metrics_in_the_chosen_order(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", str(outputs), "--sort", "val/loss", "--metrics", "val/loss,l_rate"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[-2:] == ["val/loss", "l_rate"]
    assert [(row.split()[0], *row.split()[-2:]) for row in rows] == [("two", "0.25", "0.025"), ("one", "0.5", "0.05")]
    assert main(["ls", str(outputs), "--json", "--where", "val/loss<0.3"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(run["name"], run["folder"]) for run in listed] == [("two", str(outputs / "two"))]


def test_ls_of_a_sweep_shows_what_its_trials_differ_in(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = outputs / "sweep"
    trials = [{"name": f"00{n}", "parameters": {"trainer.num_epochs": n, "l_rate": n / 10}} for n in (1, 2)]
    for trial in trials:
        run_folder(sweep / "trials", str(trial["name"]), metrics={"val": {"val/loss": 0.5}})
    (sweep / "sweep.json").write_text(json.dumps({"trials": trials}))
    assert main(["ls", str(sweep), "--metrics", "val/loss"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[-3:] == ["trainer.num_epochs", "l_rate", "val/loss"]
    assert [row.split()[-3:] for row in rows] == [["1", "0.1", "0.5"], ["2", "0.2", "0.5"]]


def test_compare_names_the_difference_and_the_metrics(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(outputs / "one"), str(outputs / "two")]
    assert main(["compare", *runs]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[:3] == [["parameters", "one", "two"], ["l_rate", "0.05", "0.025"], []]
    assert ["val/loss", "0.5", "0.25"] in lines
    assert main(["compare", "--json", *runs]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differences"] == [{"section": "parameters", "key": "l_rate", "values": [0.05, 0.025]}]
    page = outputs.parent / "pages" / "both.html"
    assert main(["compare", "--html", str(page), *runs]) == 0
    assert f'<a href="../{outputs.name}/one/report.html">one</a>' in page.read_text()
    assert main(["compare", runs[0]]) == 2


def test_rm_removes_runs_and_nothing_else(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (outputs / "mine").mkdir()
    (outputs / "link").symlink_to(outputs / "one")
    for other in ("mine", "link", "nowhere"):
        assert main(["rm", str(outputs / "two"), str(outputs / other)]) == 2
    assert main(["rm", "--dry-run", str(outputs / "two")]) == 0
    assert (outputs / "two").is_dir(), "none of these removed it"
    assert main(["rm", str(outputs / "two")]) == 0
    assert sorted(entry.name for entry in outputs.iterdir()) == ["link", "mine", "one"]
    assert "removed" in capsys.readouterr().out


def test_rm_refuses_a_run_that_a_process_writes_to(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = outputs / "one"
    code = "import sys; print(flush=True); sys.stdin.read()"
    # What `ps` knows a run by: the words of the entrypoint and its launcher. `-c` comes after them for Python too.
    words = [sys.executable, "-c", code, "-m", ENTRYPOINT, f"--run-folder={run}", "manifest.yaml"]
    environment = {**os.environ, LAUNCHER: current_process()}
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert main(["rm", str(run)]) == 2
        assert f"{run} is running" in capsys.readouterr().err
        assert run.is_dir()
        process.communicate()
    assert main(["rm", str(run)]) == 0


def test_rm_refuses_a_run_that_is_not_copied_yet(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = RunPaths(outputs / "one")
    state = MirrorState.new("azure://account/runs/one").held_by_this_process("1")
    state.write(paths)
    assert main(["rm", str(paths.root)]) == 2
    assert f"{paths.root} is still being copied to azure://account/runs/one" in capsys.readouterr().err
    state.held_by_none().write(paths)
    assert main(["rm", "--dry-run", str(paths.root)]) == 0
    (paths.root / "trials").mkdir()
    (paths.root / "trials" / "notes.txt").write_text("of no run")
    assert main(["rm", "--dry-run", str(paths.root)]) == 0
    state.write(paths)
    assert main(["rm", "--force", str(paths.root)]) == 0
