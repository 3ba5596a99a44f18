"""The process target, by real processes: what a run leaves, how it ends, and that killing it changes nothing."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest
from tests.projects import MANIFEST, Project, Result, tiny_project

from innereye_runtime.run.output_manifest import verify

RUN_SCHEMA = json.loads((Path(__file__).parents[2] / "schema" / "run.schema.json").read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """An unbroken run."""
    result = tiny_project(tmp_path_factory.mktemp("whole")).run("tiny.yaml")
    assert result.exit_code == 0, result.stderr
    return result


def test_the_run_folder_holds_what_the_contract_says(whole: Result) -> None:
    run = whole.run
    assert run.is_absolute()
    assert run.parent.name == "outputs"
    for name in (
        "run.json", "manifest.yaml", "args.txt", "metrics.csv", "metrics.json", "checkpoints/best.ckpt",
        "checkpoints/last.ckpt", "logs/console.log", "report.html", "outputs.json", "report.txt",
    ):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert list((run / "logs" / "tensorboard").glob("events.out.tfevents*"))
    assert verify(run) == ()
    listed = {file["path"] for file in json.loads((run / "outputs.json").read_text())["files"]}
    assert listed == {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()} - {"outputs.json"}
    assert not list(run.rglob("*.tmp"))


def test_run_json_fits_its_schema_and_tells_the_run(whole: Result) -> None:
    record = whole.record
    jsonschema.Draft202012Validator(RUN_SCHEMA).validate(record)
    assert (record["state"], record["exit_code"], record["seed"]) == ("completed", 0, 42)
    assert record["arguments"]["num_epochs"] == {"value": 4, "origin": "class"}
    assert record["arguments"]["width"] == {"value": 8, "origin": "default"}
    assert record["checkpoints"]["best"]["monitor"] == "val/loss"
    assert record["metrics"] == json.loads((whole.run / "metrics.json").read_text())
    assert set(record["metrics"]["test"]) == {"test/loss"}
    assert record["packages"]["torch"].startswith("2.")


def test_the_steps_come_in_order_in_the_run_folder(whole: Result) -> None:
    steps = [line.split(" ", 1) for line in (whole.run / "order.txt").read_text().splitlines()]
    assert [step for step, _ in steps] == [
        "setup", "create_model", "get_data_module", "global_rank_zero", "local_rank_zero", "all_ranks", "create_report",
    ]  # fmt: skip
    assert {folder for _, folder in steps} == {str(whole.run)}


def test_the_manifest_in_the_run_folder_repeats_the_run(whole: Result) -> None:
    again = Project(whole.run.parents[1]).run(str(whole.run / "manifest.yaml"))
    assert again.exit_code == 0, again.stderr
    assert again.run != whole.run
    assert again.weights == whole.weights
    assert (again.run / "metrics.json").read_bytes() == (whole.run / "metrics.json").read_bytes()


def test_an_override_is_in_the_record_and_in_the_manifest(tmp_path: Path, whole: Result) -> None:
    result = tiny_project(tmp_path).run("tiny.yaml", "--width=9", "--num_epochs=1", "--json")
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    printed = json.loads(line)
    assert set(printed) == {"run", "state", "exit_code", "metrics", "weights_sha256"}
    record = json.loads((Path(printed["run"]) / "run.json").read_text())
    assert printed["weights_sha256"] == record["checkpoints"]["last"]["weights_sha256"] != whole.weights
    assert record["arguments"]["width"] == {"value": 9, "origin": "command line"}
    assert record["manifest"]["container"]["args"]["width"] == 9
    assert record["checkpoints"]["last"]["epoch"] == 0


def test_smoke_takes_the_whole_path_on_two_batches(tmp_path: Path) -> None:
    result = tiny_project(tmp_path).run("--smoke", "tiny.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.record["checkpoints"]["last"]["epoch"] == 0
    assert (result.run / "report.txt").exists()
    steps = {row.split(",")[1] for row in (result.run / "metrics.csv").read_text().splitlines()[1:]}
    assert steps <= {"0", "1", "2"}


@pytest.mark.parametrize("seed", range(3 if "CI" not in os.environ else 8))
def test_a_run_that_is_killed_anywhere_and_resumed_ends_with_the_same_bytes(
    tmp_path: Path, whole: Result, seed: int
) -> None:
    """Hard kills of the whole group at moments drawn from all of a run, import to report, then one that may end."""
    chance = random.Random(seed)
    project = tiny_project(tmp_path)
    launcher = project.start("tiny.yaml")
    run = wait_for_run(tmp_path, launcher)
    kill_run(launcher, run, after=chance.uniform(0, 6))
    for _ in range(2):
        kill_run(project.start("resume", str(run)), run, after=chance.uniform(3, 6))
    result = project.run("resume", str(run))
    assert result.exit_code == 0, result.stderr
    assert result.run == run
    assert result.weights == whole.weights
    assert (run / "metrics.json").read_bytes() == (whole.run / "metrics.json").read_bytes()
    assert (run / "metrics.csv").read_text() == (whole.run / "metrics.csv").read_text()
    assert verify(run) == ()


@pytest.mark.parametrize(
    ("signum", "exit_code", "state"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "stopped")]
)
def test_a_stop_keeps_the_checkpoint_and_says_so(
    tmp_path: Path, whole: Result, signum: signal.Signals, exit_code: int, state: str
) -> None:
    project = tiny_project(tmp_path)
    launcher = project.start("tiny.yaml", "--pause=0.1")
    run = wait_for_run(tmp_path, launcher)
    wait_for(lambda: (run / "checkpoints" / "last.ckpt").exists(), launcher)
    launcher.send_signal(signum)
    _, shown = launcher.communicate(timeout=32)
    assert launcher.returncode == exit_code
    record = json.loads((run / "run.json").read_text())
    assert (record["state"], record["exit_code"]) == (state, exit_code)
    assert re.search(rf"\({signum.name}\) in epoch \d+ of \d+$", record["reason"])
    assert shown.splitlines()[-1] == f"hint: innereye-run resume outputs/{run.name}"
    assert not (run / "outputs.json").exists()
    assert (run / "report.html").exists()
    resumed = project.run("resume", str(run))
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.record["attempts"][1]["resumed_from"] == "checkpoints/partial.ckpt"
    assert resumed.record["attempts"][1]["epoch"] >= 1
    assert resumed.weights == whole.weights


@pytest.mark.parametrize(
    ("manifest", "words", "exit_code", "reason"),
    [
        (MANIFEST, ["--misbehaviour=raise"], 1, "RuntimeError: the data is upside down"),
        (MANIFEST, ["--misbehaviour=exit"], 42, "the user's code exited with 42"),
        (MANIFEST, ["--misbehaviour=exit quietly"], 1, "exited before the run was complete"),
        (MANIFEST + "compute: {gpus: 1}\n", [], 3, "compute.gpus requests 1, and PyTorch sees none here"),
        (MANIFEST + "outputs: {expect: [report.txt, missing.*]}\n", [], 6, "missing.*"),
        (MANIFEST + "trainer: {arguments: {gradient_clip_vol: 1}}\n", [], 2, "no argument 'gradient_clip_vol'"),
        (MANIFEST + "compute: {max_duration: 6s}\n", ["--pause=1"], 143, "max_duration of 6s"),
    ],
)
def test_each_end_has_its_exit_code_and_its_reason(
    tmp_path: Path, manifest: str, words: list[str], exit_code: int, reason: str
) -> None:
    result = tiny_project(tmp_path, manifest).run("tiny.yaml", *words)
    assert result.exit_code == exit_code, result.stderr
    assert reason in result.record["reason"]
    assert result.record["exit_code"] == exit_code
    assert not (result.run / "outputs.json").exists()
    assert reason in (result.run / "logs" / "console.log").read_text() or exit_code == 143
    assert ("Traceback" in result.stdout) == (reason.startswith("RuntimeError"))


def test_what_the_runtime_writes_itself_can_be_expected(tmp_path: Path) -> None:
    manifest = MANIFEST + "outputs: {expect: [report.html, metrics.json, checkpoints/best.ckpt, logs/console.log]}\n"
    result = tiny_project(tmp_path, manifest).run("tiny.yaml")
    assert result.exit_code == 0, result.stderr
    assert "completed" in (result.run / "report.html").read_text()


@pytest.mark.parametrize(
    ("extra", "exit_code", "message"),
    [
        ("dataset: {id: scans, local: no/such/place}\n", 5, "no/such/place"),
        ("secrets: [INNEREYE_TEST_SECRET]\n", 3, "INNEREYE_TEST_SECRET"),
        ("container: {class: Tiny}\n", 2, "error[E"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    tmp_path: Path, extra: str, exit_code: int, message: str
) -> None:
    result = tiny_project(tmp_path, MANIFEST + extra).run("tiny.yaml")
    assert result.exit_code == exit_code, result.stderr
    assert message in result.stderr
    assert not (tmp_path / "outputs").exists()


def test_what_the_source_does_not_tell_is_checked_against_the_class(tmp_path: Path) -> None:
    project = tiny_project(tmp_path, MANIFEST.replace("class: Tiny", "args: {depth: 3}, class: Odd"))
    source = (tmp_path / "tiny.py").read_text()
    project.write("tiny.py", f"{source}\n\ndef base():\n    return Tiny\n\n\nclass Odd(base()):\n    pass\n")
    result = project.run("tiny.yaml")
    assert result.exit_code == 2
    assert "note[N300]" in result.stderr
    assert "warning[W301]: 'depth' was not found in the source of the class" in result.stderr
    assert "error[E301]: the container has no parameter 'depth'" in (result.run / "logs" / "console.log").read_text()


def test_a_module_of_the_users_hides_none_of_pythons(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.write("random.py", "raise SystemExit('not the random that PyTorch asks for')\n")
    assert project.run("tiny.yaml", "--num_epochs=1").exit_code == 0
    project.write("statistics.py", (tmp_path / "tiny.py").read_text())
    taken = project.run(project.write("taken.yaml", MANIFEST.replace("[tiny]", "[statistics]")).name)
    assert taken.exit_code == 2
    assert "error: the name 'statistics' is taken by " in taken.stdout
    assert f"hint: rename {tmp_path / 'statistics.py'}" in taken.stdout


def test_a_command_line_without_torch_says_what_to_install(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    project.write("hidden/sitecustomize.py", "import sys\nsys.modules['pytorch_lightning'] = None\n")
    result = project.run("tiny.yaml", environment={"PYTHONPATH": str(tmp_path / "hidden")})
    assert result.exit_code == 3
    assert result.stderr.startswith("error: training in this interpreter needs pytorch_lightning, and ")
    assert "hint: pip install 'innereye-runtime[train]'" in result.stderr
    assert not (tmp_path / "outputs").exists()


def test_a_secret_reaches_the_run_and_is_written_nowhere(tmp_path: Path) -> None:
    value = "correct horse battery staple"
    project = tiny_project(tmp_path, MANIFEST + "secrets: [INNEREYE_TEST_SECRET]\n")
    source = (tmp_path / "tiny.py").read_text()
    check = f'assert os.environ["INNEREYE_TEST_SECRET"] == "{value[::-1]}"[::-1]'
    project.write("tiny.py", source.replace('self.note("setup")', f'self.note("setup"); {check}'))
    result = project.run("tiny.yaml", environment={"INNEREYE_TEST_SECRET": value})
    assert result.exit_code == 0, result.stderr
    assert not [path for path in result.run.rglob("*") if path.is_file() and value.encode() in path.read_bytes()]


def test_a_job_that_was_killed_is_started_again_as_the_manifest_allows(tmp_path: Path, whole: Result) -> None:
    result = tiny_project(tmp_path).run("tiny.yaml", "--misbehaviour=out of memory once")
    assert result.exit_code == 0, result.stderr
    attempts = result.record["attempts"]
    assert [(attempt["state"], attempt["exit_code"]) for attempt in attempts] == [("failed", 137), ("completed", 0)]
    assert "out of memory" in attempts[0]["reason"]
    assert result.weights == whole.weights


def test_without_retries_a_kill_is_the_end(tmp_path: Path) -> None:
    project = tiny_project(tmp_path, MANIFEST + "compute: {retries: {infrastructure: 0}}\n")
    result = project.run("tiny.yaml", "--misbehaviour=out of memory once")
    assert result.exit_code == 137
    assert "most likely out of memory" in result.record["reason"]


def test_two_ranks_train_one_model_and_write_one_record(tmp_path: Path) -> None:
    project = tiny_project(tmp_path)
    source = (tmp_path / "tiny.py").read_text()
    arguments = '{"devices": 2, "strategy": "ddp", "accelerator": "cpu", "max_epochs": 2}'
    project.write("tiny.py", f"{source}\n    def get_trainer_arguments(self):\n        return {arguments}\n")
    result = project.run("tiny.yaml")
    assert result.exit_code == 0, result.stderr
    assert len(list((tmp_path / "outputs").iterdir())) == 1
    assert len(result.record["attempts"]) == 1
    steps = [line.split(" ")[0] for line in (result.run / "order.txt").read_text().splitlines()]
    assert (steps.count("setup"), steps.count("global_rank_zero"), steps.count("local_rank_zero")) == (2, 1, 1)
    assert verify(result.run) == ()


FAILING_RANK = """

class Failing(Model):
    def on_train_batch_start(self, batch, batch_idx):
        if self.trainer.current_epoch == 1 and self.global_rank == 1:
            WAY
        elif self.trainer.current_epoch == 1:
            time.sleep(PAUSE)


class Ranks(Tiny):
    def create_model(self):
        return Failing(self.width, self.pause)

    def get_trainer_arguments(self):
        return {"devices": 2, "strategy": "ddp", "accelerator": "cpu"}
"""


@pytest.mark.parametrize(
    ("way", "pause", "exit_code", "reason"),
    [
        ("raise RuntimeError('the left half is missing')", 0, 1, "rank 1: RuntimeError: the left half is missing"),
        ("sys.exit(42)", 0, 42, "rank 1: the user's code exited with 42"),
        ("sys.exit(42)", 60, 42, "rank 1: the user's code exited with 42"),
    ],
    ids=["error", "exit", "the first rank is killed by Lightning"],
)
def test_a_run_ends_with_the_failure_of_the_rank_that_failed_first(
    tmp_path: Path, way: str, pause: int, exit_code: int, reason: str
) -> None:
    project = tiny_project(tmp_path, MANIFEST.replace("Tiny", "Ranks"))
    failing = FAILING_RANK.replace("WAY", way).replace("PAUSE", str(pause))
    project.write("tiny.py", (tmp_path / "tiny.py").read_text() + failing)
    started = time.monotonic()
    result = project.run("tiny.yaml")
    assert (result.exit_code, result.record["exit_code"], result.record["reason"]) == (exit_code, exit_code, reason)
    assert len(result.record["attempts"]) == 1, "tried again, as if the machine had failed"
    assert time.monotonic() - started < 55


def wait_for(condition: object, launcher: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():  # type: ignore[operator]
        assert launcher.poll() is None, launcher.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_run(project: Path, launcher: subprocess.Popen[str]) -> Path:
    wait_for(lambda: list((project / "outputs").glob("*/run.json")), launcher)
    (folder,) = (project / "outputs").iterdir()
    return folder


def kill_run(launcher: subprocess.Popen[str], run: Path, *, after: float) -> None:
    """SIGKILL to the launcher first, so that it can't start the job again, then to the job."""
    time.sleep(after)
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    pids = children.read_text().split() if children.exists() else []
    launcher.kill()
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)
    launcher.communicate()


BY_CHANCE = """
import os, random, signal
import pytorch_lightning as pl
from tiny import Data, DataLoader, Path, Tiny


class Stop(pl.Callback):
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (1, 3) and not Path("stopped").exists():
            Path("stopped").touch()
            os.kill(os.getpid(), signal.SIGTERM)


class Drawn(Data):
    def train_dataloader(self):
        return DataLoader(self.table, batch_size=8, sampler=random.SystemRandom().sample(range(48), 48))


class Chance(Tiny):
    def get_data_module(self):
        return Drawn()

    def get_callbacks(self):
        return [Stop()]
"""


def test_an_epoch_whose_batches_do_not_come_again_is_begun_again_by_a_new_attempt_of_the_same_command(
    tmp_path: Path,
) -> None:
    project = tiny_project(tmp_path, MANIFEST.replace("Tiny", "Chance").replace("[tiny]", "[chance]"))
    project.write("chance.py", BY_CHANCE)
    result = project.run("tiny.yaml", "--num_epochs=2")  # it is resumed by itself, as after a preemption
    assert result.exit_code == 0, result.stdout + result.stderr
    reason = (
        "epoch 2 can't be continued, as the batches that it draws are not those of the attempt before: a new attempt "
        "begins it again"
    )
    console = (result.run / "logs" / "console.log").read_text()
    assert console.count(reason) == 1
    assert f"warning: {reason}\n" in console
    assert "Traceback" not in console
    record = result.record
    jsonschema.Draft202012Validator(RUN_SCHEMA).validate(record)
    attempts = [(one["state"], one["exit_code"], one["resumed_from"]) for one in record["attempts"]]
    assert attempts == [
        ("stopped", 143, None),
        ("stopped", None, "checkpoints/partial.ckpt"),
        ("completed", 0, "checkpoints/last.ckpt"),
    ]
    assert record["attempts"][1]["reason"] == reason
    assert verify(result.run) == ()
