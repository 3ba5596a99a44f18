"""The batch script, and what is made of the controller's answers. No cluster takes part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.projects import tiny_project

from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.slurm import commands
from innereye_runtime.targets.slurm.plan import SlurmPlan, plan_for
from innereye_runtime.targets.slurm.target import finish

MANIFEST = """\
schema: 1
name: lungs
container: {class: Tiny, namespaces: [tiny]}
compute:
  target: slurm
  nodes: 2
  gpus: 4
  max_duration: 90m
  slurm: {partition: gpu, account: imaging, constraint: a100|h100, mem_per_cpu: 4g, modules: [cuda/12.4]}
environment: {GREETING: it's}
"""
ANSWER = (
    "JobId=7 JobName=lungs UserId=me(1) JobState={state} Reason={reason} Dependency=(null) Requeue=1 ExitCode={code} "
    "NodeList=n[1-2] BatchHost=n1 Comment=innereye-runtime:/data/my runs/2026_Tiny Power=\n"
)


def plan_of(root: Path, manifest: str = MANIFEST) -> SlurmPlan:
    project = tiny_project(root, manifest)
    return plan_for(resolve_job(project.root / "tiny.yaml", cwd=project.root))


def test_the_script_says_what_the_manifest_asks_for(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan == plan_of(tmp_path)
    lines = plan.script(tmp_path / "outputs" / "a run").splitlines()
    assert lines[0] == "#!/bin/bash"
    assert [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")] == [
        *("--job-name=lungs", f"--chdir={tmp_path}", "--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=4"),
        *("--requeue", "--open-mode=append", "--gpus-per-node=4", "--partition=gpu", "--account=imaging"),
        *("'--constraint=a100|h100'", "--mem-per-cpu=4096M", "--time=91", "--signal=TERM@60"),
        f"'--comment=innereye-runtime:{tmp_path}/outputs/a run'",
        f"'--output={tmp_path}/outputs/.slurm/a run.log'",
    ]
    assert "module load cuda/12.4" in lines
    assert """export GREETING='it'"'"'s'""" in lines
    assert "SLURM_PROCID" in next(line for line in lines if line.startswith("task="))
    assert plan.describe()["command"][1:4] == ["-P", "-m", "innereye_runtime.entrypoint"]
    assert replace(plan, modules=()) != plan
    with pytest.raises(UsageError, match="a batch script can't hold"):
        plan.script(tmp_path / "a\nrm -rf .")


@pytest.mark.parametrize(
    ("state", "reason", "code", "exit_code", "active"),
    [
        ("RUNNING", "None", "0:0", 0, True),
        ("PENDING", "Resources", "0:0", 0, True),
        ("COMPLETED", "None", "0:0", 0, False),
        ("FAILED", "NonZeroExitCode", "42:0", 42, False),
        ("FAILED", "RaisedSignal:9(Killed)", "0:9", 137, False),
        ("CANCELLED", "None", "0:15", 143, False),
        ("TIMEOUT", "TimeLimit", "0:0", 143, False),
        ("NODE_FAIL", "None", "1:0", 137, False),
        ("OUT_OF_MEMORY", "OutOfMemory", "0:125", 137, False),
    ],
)
def test_the_end_of_a_job_is_an_exit_code(
    tmp_path: Path, state: str, reason: str, code: str, exit_code: int, active: bool
) -> None:
    job = commands._parsed(ANSWER.format(state=state, reason=reason, code=code))
    assert (job.id, job.is_active, job.exit_code, job.nodes) == ("7", active, exit_code, "n[1-2]")
    assert job.run_folder == Path("/data/my runs/2026_Tiny")
    assert job.is_stopped == (state == "CANCELLED")
    if not active and exit_code:
        paths = RunPaths(tmp_path / "2026_Tiny")
        paths.root.mkdir()
        assert finish(paths, job, earlier=0) == exit_code
        told = RunRecord.read(paths)
        assert (told.model, told.exit_code) == ("Tiny", exit_code)
        assert told.reason.startswith(f"Slurm ended the job: {state}")


def test_a_job_that_told_its_end_is_believed(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    record = RunRecord(id="a", model="Tiny", target="slurm")
    record.begin_attempt("n1")
    record.end_attempt("failed", 42, "the user's code exited with 42")
    record.write(paths)
    job = commands._parsed(ANSWER.format(state="FAILED", reason="None", code="143:0"))
    assert finish(paths, job, earlier=0) == finish(paths, None, earlier=0) == 42
    assert RunRecord.read(paths).reason == "the user's code exited with 42"


def test_a_machine_without_slurm_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PreflightError, match="there is no scontrol here"):
        commands.show("1")
