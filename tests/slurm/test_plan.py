"""The batch script, and what is made of the controller's answers. No cluster takes part."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.projects import tiny_project

from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.run.record import RunRecord
from innereye_runtime.targets.slurm import commands
from innereye_runtime.targets.slurm.plan import SlurmPlan, expression_of, plan_for
from innereye_runtime.targets.slurm.runs import finish
from innereye_runtime.targets.slurm.trials import SlurmTrials

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
TASKS = (
    "JobId=7 ArrayJobId=7 ArrayTaskId=5,8-10:2%3 ArrayTaskThrottle=3 JobState=PENDING Reason=JobArrayTaskLimit ",
    "JobId=9 ArrayJobId=7 ArrayTaskId=1 ArrayTaskThrottle=3 JobState=RUNNING Reason=None ",
    "JobId=8 ArrayJobId=7 ArrayTaskId=0 ArrayTaskThrottle=3 JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 ",
)
CANCELLED = "JobId=7 ArrayJobId=7 ArrayTaskId=4294967294 ArrayTaskThrottle=3 JobState=CANCELLED Reason=None "
SWEEP = """\
sweep:
  search_space: {width: {values: [1, 2, 3]}, pause: {values: [0, 1]}}
  objective: {primary_metric: val/loss}
  limits: {max_concurrent_trials: 2}
"""


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


def test_a_sweep_is_one_array_whose_tasks_find_their_trial(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, MANIFEST + SWEEP)
    script = plan.script(tmp_path / "100% mine")
    assert "#SBATCH --array=0-5%2\n" in script
    assert f"'--comment=innereye-runtime:{tmp_path}/100% mine'" in script
    assert f"'--output={tmp_path}/100%% mine/logs/%3a.log'" in script
    task = next(line for line in script.splitlines() if line.startswith("task=")).replace("""'"'"'""", "'")
    assert 'trial=$(printf %03d "$SLURM_ARRAY_TASK_ID"); exec ' in task
    assert f"""'--run-folder={tmp_path}/100% mine/trials/'"$trial" """ in task
    assert f"""'{tmp_path}/100% mine/trials/'"$trial"/manifest.yaml""" in task
    assert plan.describe()["options"][-1] == "--array=0-5%2"
    searched = plan_of(
        tmp_path,
        MANIFEST + SWEEP.replace("limits: {", "sampling_algorithm: bayesian\n  limits: {max_total_trials: 9, "),
    )
    assert "#SBATCH '--array=<trial>'" in searched.job_file(), "each trial depends on those before it"
    assert expression_of([0, 1, 2, 5, 7, 8], limit=None) == "0-2,5,7-8"


def test_the_tasks_of_an_array_are_the_runs_of_its_trials() -> None:
    jobs = [commands._parsed(f"{line}Comment=innereye-runtime:/data/my sweep  Power=\n") for line in TASKS]
    assert [(job.id, job.tasks, job.run_folder) for job in jobs] == [
        ("7_[5,8-10:2]", (5, 8, 10), Path("/data/my sweep")),
        ("7_1", (1,), Path("/data/my sweep/trials/001")),
        ("7_0", (0,), Path("/data/my sweep/trials/000")),
    ]
    assert [one.id for one in jobs[0].each()] == ["7_5", "7_8", "7_10"]
    assert [str(one.run_folder) for one in jobs[0].each()][-1] == "/data/my sweep/trials/010"
    assert commands._parsed(CANCELLED).tasks == ()


def test_a_trial_of_an_array_ends_as_its_record_or_the_controller_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tiny_project(tmp_path, MANIFEST.replace("compute:", "compute:\n  retries: {infrastructure: 1}") + SWEEP)
    job = resolve_job(project.root / "tiny.yaml", cwd=project.root)
    listed: Sequence[str] = TASKS
    requeued: list[str] = []
    monkeypatch.setattr(commands, "submit", lambda script, environment: "7")
    monkeypatch.setattr(commands, "_show", lambda *job: [commands._parsed(line) for line in listed])
    monkeypatch.setattr(commands, "requeue", requeued.append)
    folder = tmp_path / "sweep"
    for number in range(4):
        (folder / "trials" / f"{number:03}").mkdir(parents=True)
    failed, running, gone, other = SlurmTrials(folder).submit(
        job, ["000", "001", "002", "003"], limit=2, environment={}
    )
    assert (running.exit_code(), running.is_running, running.identity) == (None, True, "7_1")
    assert failed.exit_code() == 3
    record = RunRecord(id="000", model="Tiny", target="slurm")
    record.begin_attempt("n1")
    record.end_attempt("completed", 0, "")
    record.write(RunPaths(folder / "trials" / "002"))
    assert gone.exit_code() == 0, "the controller has forgotten it, and its record has not"

    # One that was killed is requeued as often as the manifest has it, by its own id.
    listed = [TASKS[1].replace("JobState=RUNNING Reason=None", "JobState=NODE_FAIL Reason=None")]
    running.array.ask_again()
    assert (running.exit_code(), requeued) == (None, ["7_1"])
    assert (running.exit_code(), requeued) == (137, ["7_1"])
    listed = [CANCELLED]
    other.array.ask_again()
    assert other.exit_code() == 128 + signal.SIGTERM
    assert not RunPaths(folder / "trials" / "003").run_json.exists(), "nothing was attempted"


def test_a_resumed_sweep_finds_its_tasks_by_their_folder_and_by_what_it_wrote_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my sweep"
    (folder / "trials" / "000").mkdir(parents=True)
    (folder / "manifest.yaml").write_text(MANIFEST)
    listed = [f"{line}Comment=innereye-runtime:{folder}  Power=\n" for line in TASKS]
    other = TASKS[1].replace("ArrayTaskId=1", "ArrayTaskId=2") + f"Comment=innereye-runtime:{tmp_path}/other Power=\n"
    monkeypatch.setattr(commands, "_show", lambda *job: [commands._parsed(line) for line in [*listed, other]])
    trials = SlurmTrials(folder)
    found = {number: trials.adopt(f"{number:03}", None) for number in (0, 1, 2, 8)}
    assert {number: trial and trial.identity for number, trial in found.items()} == {
        0: None,  # over, and nothing says that it was one of this sweep
        1: "7_1",
        2: None,
        8: "7_8",
    }
    ended, running = trials.adopt("000", "7_0"), found[1]
    assert ended is not None
    assert running is not None
    assert (ended.exit_code(), ended.is_adopted, running.exit_code()) == (3, True, None)
    listed.clear()
    running.array.ask_again()
    assert running.exit_code() == 128 + signal.SIGKILL, "it left no word: the sweep runs it once more"


def test_the_ensemble_of_a_sweep_is_a_job_that_is_found_and_stopped_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tiny_project(tmp_path, MANIFEST + SWEEP)
    job = resolve_job(project.root / "tiny.yaml", cwd=project.root)
    folder, scripts, cancelled = tmp_path / "my sweep", [], []

    def submit(script: str, environment: object) -> str:
        scripts.append(script)
        return "12"

    listed = [f"JobId=12 JobState=RUNNING Reason=None Comment=innereye-runtime:{folder}/ensemble  Power=\n"]
    others = [f"JobId=13 JobState=RUNNING Reason=None Comment=innereye-runtime:{tmp_path}/{n} Power=\n" for n in "ab"]
    monkeypatch.setattr(commands, "submit", submit)
    monkeypatch.setattr(commands, "_show", lambda *job: [commands._parsed(line) for line in [*listed, *others][:9]])
    monkeypatch.setattr(
        commands, "cancel", lambda *jobs, **how: (cancelled.append((*jobs, *how.values())), listed.clear())
    )
    folder.mkdir()
    (folder / "manifest.yaml").write_text(MANIFEST)
    ensemble = SlurmTrials(folder).submit_run(job, folder / "ensemble", environment={})
    assert "--array" not in scripts[0]
    assert f"'--comment=innereye-runtime:{folder}/ensemble'" in scripts[0]
    assert f"'--output={folder}/logs/ensemble.log'" in scripts[0]
    assert f"{folder}/ensemble/manifest.yaml" in scripts[0]
    assert (ensemble.exit_code(), ensemble.is_running, ensemble.identity) == (None, True, "12")

    trials = SlurmTrials(folder)
    found = trials.adopt("ensemble", None)
    assert found is not None and (found.identity, found.is_adopted) == ("12", True)
    assert trials.stop() and cancelled == [("12", "PENDING"), ("12", "TERM")]
    assert not trials.is_active() and SlurmTrials(folder).adopt("ensemble", None) is None


@pytest.mark.parametrize(
    ("job", "copy", "exit_code"),
    [(0, "read code; exit $code", 0), (42, "read code; exit $code", 42), (0, "read code; exit 6", 6), (7, "exit 1", 7)],
)
def test_the_script_of_a_copied_run_ends_with_the_jobs_exit_code_else_the_copys(
    tmp_path: Path, job: int, copy: str, exit_code: int
) -> None:
    plan = plan_of(tmp_path, f"{MANIFEST}outputs: {{folder: 'azure://account/runs/here'}}\n")
    program = tmp_path / "python"
    program.write_text(f'#!/bin/bash\n[ "$3" = innereye_runtime.cli.mirror ] || exit {job}\necho "$@"\n{copy}\n')
    srun = tmp_path / "srun"
    srun.write_text(f"#!/bin/bash\ncat /proc/self/fdinfo/9 2>/dev/null && exit 99\nsleep 0.2\nexit {job}\n")
    for each in (program, srun):
        each.chmod(0o755)
    script = replace(plan, executable=str(program), modules=()).script(tmp_path / "outputs" / "a run")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1"}
    (tmp_path / "scontrol").write_text("#!/bin/bash\necho n1\n")
    (tmp_path / "scontrol").chmod(0o755)
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (exit_code, "")
    assert done.stdout == f"-P -m innereye_runtime.cli.mirror azure://account/runs/here {tmp_path}/outputs/a run\n"
    assert "mirror" not in plan_of(tmp_path).script(tmp_path / "run")
