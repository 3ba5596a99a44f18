"""Sweeps and folds as Azure's own sweep jobs: the job file, and the emulator that runs its trials."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import MANIFEST, address_in, azure
from tests.targets.azureml.test_plan import plan_of

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.manifest.loading import parse
from innereye_runtime.run.output_manifest import verify
from innereye_runtime.targets.azureml.submission import check
from innereye_runtime.targets.azureml.sweep_job import decoded, parameters_in, sweep_fields

SWEEP = """\
name: widths
sweep:
  search_space:
    width: {type: choice, values: [4, 8]}
    misbehaviour: {type: choice, values: ["", "raise"]}
  objective: {goal: minimize, primary_metric: val/loss}
  limits: {max_concurrent_trials: 2}
"""
FOLDS = "name: folds\ncross_validation: {splits: 2}\n"


def test_a_trial_is_given_the_arguments_of_its_model_by_their_options(project: Project) -> None:
    project.write(
        "net.py",
        "import pytorch_lightning as pl\n\n\nclass Net(pl.LightningModule):\n"
        "    def __init__(self, lr: float): ...\n    def train_dataloader(self): ...\n"
        "    def test_step(self, batch, batch_idx): ...\n",
    )
    manifest = "schema: 1\nmodel: {class: 'net:Net'}\nsweep: {search_space: {model.lr: {values: [0.1, 1]}}}\n"
    plan = plan_of(project, manifest=manifest + MANIFEST[MANIFEST.index("compute:") :])
    job = plan.describe()["job"]
    assert job["search_space"] == {"model__lr": {"type": "choice", "values": [0.1, 1]}}
    assert "--model.lr='${{search_space.model__lr}}'" in job["trial"]["command"]
    assert plan.sweep is not None
    nested = {"model": {"class": "net:Net", "args": {"lr": 1, "parts": [{"class": "a:B", "args": {"depth": 3}}]}}}
    names = [*plan.sweep.parameters, "model.parts.0.depth", "data.size"]
    assert parameters_in(nested, dict.fromkeys(names)) == {"model.lr": 1, "model.parts.0.depth": 3, "data.size": None}


def test_each_word_of_the_manifest_is_one_of_the_sweep_job(project: Project) -> None:
    manifest = f"""{MANIFEST.replace("compute:", "compute:" + chr(10) + "  max_duration: 1h")}
sweep:
  search_space:
    width: {{type: quniform, min_value: 3, max_value: 16, q: 4}}
    pause: {{type: loguniform, min_value: 1e-2, max_value: 1}}
    trainer.num_epochs: {{type: randint, upper: 5}}
    trainer.arguments.gradient_clip_val: {{type: uniform, min_value: 0.1, max_value: 1}}
    misbehaviour: {{type: choice, values: [raise, "", "true", "a b"]}}
  sampling_algorithm: {{type: random, seed: 7}}
  objective: {{goal: maximize, primary_metric: val/dice}}
  limits: {{max_total_trials: 20, max_concurrent_trials: 4, timeout: 2h}}
  early_termination: {{type: bandit, slack_factor: 0.1, delay_evaluation: 5}}
"""
    plan = plan_of(project, "--set=sweep.limits.max_total_trials=10", manifest=manifest)
    job = plan.describe()["job"]
    assert job["type"] == "sweep"
    assert job["search_space"] == {
        "width": {"type": "quniform", "min_value": 4, "max_value": 16, "q": 4},
        "pause": {"type": "loguniform", "min_value": pytest.approx(-4.60517), "max_value": 0.0},
        "trainer__num_epochs": {"type": "randint", "upper": 5},
        "trainer__arguments__gradient_clip_val": {"type": "uniform", "min_value": 0.1, "max_value": 1},
        "misbehaviour": {"type": "choice", "values": ["raise", '""', '"true"', '"a b"']},
    }
    assert job["sampling_algorithm"] == {"type": "random", "seed": 7}
    assert job["objective"] == {"goal": "maximize", "primary_metric": "val/dice"}
    assert job["limits"] == {
        "max_total_trials": 10,
        "max_concurrent_trials": 4,
        "timeout": 7200,
        "trial_timeout": 3600,
    }
    assert job["early_termination"] == {
        "type": "bandit",
        "evaluation_interval": 1,
        "delay_evaluation": 5,
        "slack_factor": 0.1,
    }
    assert job.keys() & {"command", "code", "environment", "resources"} == set()
    assert job["trial"].keys() == {"command", "code", "environment", "environment_variables", "resources"}
    assert "sweep:" not in plan.manifest_text


@pytest.mark.parametrize("value", [1, 0.5, "raise", "1", "true", "", "a b", True, None, [1, "x"], {"a": 1}])
def test_a_choice_is_the_same_on_its_way_back(project: Project, value: Any) -> None:
    space = f"search_space: {{misbehaviour: {{values: [{json.dumps(value)}]}}}}"
    loaded = parse(f"{MANIFEST}sweep: {{{space}}}\n".encode(), path=None, source="m", target="azureml").manifest
    assert loaded is not None
    fields = sweep_fields(loaded)
    assert fields is not None
    (text,) = fields.search_space["misbehaviour"]["values"]
    assert decoded(text) == value and type(decoded(text)) is type(value)


def test_a_trial_reads_its_values_as_this_machine_does(project: Project) -> None:
    """What Azure puts into the command and bash reads gives the manifest that the same trial has on this machine."""
    manifest = f"""{MANIFEST}
sweep:
  search_space:
    width: {{type: quniform, min_value: 4, max_value: 16, q: 4}}
    trainer.num_epochs: {{type: choice, values: [3]}}
    trainer.arguments.gradient_clip_val: {{type: choice, values: [0.5]}}
    misbehaviour: {{type: choice, values: ["1", 'say "no" $HOME']}}
  sampling_algorithm: random
  limits: {{max_total_trials: 2}}
"""
    plan = plan_of(project, manifest=manifest)
    assert plan.sweep is not None
    choices = plan.sweep.search_space["misbehaviour"]["values"]
    for text, meant in zip(choices, ("1", 'say "no" $HOME'), strict=True):
        drawn = {
            "width": "8.0",
            "trainer__num_epochs": "3",
            "trainer__arguments__gradient_clip_val": "0.5",
            "misbehaviour": text,
        }
        command = re.sub(r"\$\{\{search_space\.(\w+)\}\}", lambda match: str(drawn[match[1]]), plan.command)  # noqa: B023
        words = command.partition(" innereye-runtime ")[2].replace("${{outputs.run}}", "/run")
        done = subprocess.run(
            ["bash", "-c", f"printf '%s\\0' {words}"],
            cwd=project.root,
            env={"AZUREML_RUN_ID": "sweep_3", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        argv = done.stdout.split("\0")[:-1]
        assert {"--run-folder=sweep_3", "--stage-to=/run/trials/sweep_3"} <= set(argv)
        project.write("trial.yaml", plan.manifest_text)
        overrides = argv[argv.index("tiny.yaml") + 1 :]
        job = resolve_job(project.root / "trial.yaml", cwd=project.root, overrides=overrides, running=True)
        data = {
            "container": {"args": job.manifest.container.args},
            "trainer": {"num_epochs": job.manifest.trainer.num_epochs, "arguments": job.manifest.trainer.arguments},
        }
        values = parameters_in(data, plan.sweep.parameters)
        assert values == {
            "width": 8,
            "trainer.num_epochs": 3,
            "trainer.arguments.gradient_clip_val": 0.5,
            "misbehaviour": meant,
        }
        assert isinstance(values["width"], int)


@pytest.mark.filterwarnings("ignore")  # the SDK's own
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("early_termination: {type: median_stopping, evaluation_interval: 2}", "MedianStoppingPolicy"),
        ("early_termination: {type: truncation_selection}", "TruncationSelectionPolicy"),
        ("early_termination: {type: bandit, slack_amount: 0.2}", "BanditPolicy"),
        ("sampling_algorithm: bayesian", "NoneType"),
        ("sampling_algorithm: random", "NoneType"),
    ],
)
def test_the_sdk_takes_each_policy_and_algorithm(
    project: Project, needs: Callable[..., None], words: str, expected: str
) -> None:
    needs("azure")
    from innereye_runtime.targets.azureml.job_file import job_data
    from innereye_runtime.targets.azureml.submission import _loaded

    limited = SWEEP.replace("limits: {", "limits: {max_total_trials: 3, ")
    plan = plan_of(project, manifest=f"{MANIFEST}{limited}  {words}\n")
    check(plan)
    assert type(_loaded(job_data(plan)).early_termination).__name__ == expected  # type: ignore[attr-defined]


def test_folds_are_the_trials_of_a_grid(project: Project) -> None:
    plan = plan_of(project, manifest=f"{MANIFEST}{FOLDS}")
    job = plan.describe()["job"]
    assert job["search_space"] == {"cross_validation_split_index": {"type": "choice", "values": [0, 1]}}
    assert (job["sampling_algorithm"], job["limits"]) == ("grid", {"max_total_trials": 2})
    assert "number_of_cross_validation_splits: 2" in plan.manifest_text
    both = plan_of(project, manifest=f"{MANIFEST}{FOLDS}{SWEEP.partition(chr(10))[2]}")
    assert both.describe()["job"]["limits"]["max_total_trials"] == 8


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ('misbehaviour: {values: ["it\'s"]}', "sweep.search_space.misbehaviour: the value"),
        (f"pause: {{values: {list(range(1001))}}}", "Azure runs at most 1000 trials of a sweep, and this one has 1001"),
        ("trainer.arguments.a.b: {values: [1]}, trainer.arguments.a__b: {values: [1]}", "have one name in Azure"),
    ],
)
def test_what_azure_does_not_run_is_refused(project: Project, space: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        plan_of(project, manifest=f"{MANIFEST}sweep: {{search_space: {{{space}}}}}\n")


def test_trials_have_no_services(project: Project) -> None:
    manifest = MANIFEST.replace("azureml: {", "azureml: {services: {shell: {type: ssh}}, ")
    with pytest.raises(UsageError, match="are not for the trials of a sweep"):
        plan_of(project, manifest=f"{manifest}{SWEEP}")


def sweep_in(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "sweep.json").read_text())
    return found


@pytest.mark.usefixtures("image")
def test_trials_of_a_sweep_are_runs_and_come_home_together(project: Project, cloud: Any) -> None:
    environment = cloud.environment()
    project.write("tiny.yaml", f"{MANIFEST}{SWEEP}outputs: {{register: {{name: widths}}}}\n")
    followed = azure(project, cloud)
    assert followed.exit_code == 0, followed.stderr
    record = sweep_in(followed.run)
    assert [trial["state"] for trial in record["trials"]] == ["completed", "failed", "completed", "failed"]
    assert [trial["parameters"] for trial in record["trials"]] == [
        {"width": width, "misbehaviour": what} for width in (4, 8) for what in ("", "raise")
    ]
    assert (record["state"], record["reason"]) == ("completed", "2 of 4 trials failed")
    assert "RuntimeError: the data is upside down" in record["trials"][1]["reason"]
    values = {trial["name"]: trial["value"] for trial in record["trials"] if trial["state"] == "completed"}
    best = min(values, key=lambda name: values[name])
    assert record["best"]["runs"] == [f"trials/{best}"]
    for name in values:
        assert not verify(followed.run / "trials" / name)
        run_id = json.loads((followed.run / "trials" / name / "run.json").read_text())["id"]
        assert run_id.endswith(f"_{int(name)}")
    assert (followed.run / "report.html").is_file()
    address = address_in(followed.stderr)
    sweep = cloud.workspace.job(address.rpartition("/")[2])
    assert sweep.properties["properties"]["best_child_run_id"] == f"{sweep.name}_{int(best)}"
    model = cloud.workspace.asset("models", "widths", "1")["properties"]
    assert model["modelUri"].endswith(f"/trials/{sweep.name}_{int(best)}/checkpoints/best.ckpt")
    assert (
        model["properties"]["weights_sha256"]
        == json.loads((followed.run / "trials" / best / "run.json").read_text())["checkpoints"]["best"][
            "weights_sha256"
        ]
    )
    status = project.run("status", address, environment=environment)
    assert re.search(r"trials +2 Completed, 2 Failed\n", status.stdout), status.stdout
    resumed = project.run("resume", str(followed.run), "--json", environment=environment)
    assert (resumed.exit_code, "a sweep on target azureml is not resumed" in resumed.stderr) == (2, True)


@pytest.mark.usefixtures("image")
def test_a_trial_that_is_worse_is_stopped_early_and_a_sweep_is_stopped_by_its_address(
    project: Project, cloud: Any
) -> None:
    environment = cloud.environment()
    space = "search_space: {width: {values: [64, 1]}}\n  early_termination: {type: bandit, slack_factor: 0.05}"
    # One after the other: a trial is compared with what the earlier one had reached at the same interval.
    sweep = re.sub(r"search_space:\n.*\n.*", space, SWEEP).replace(
        "max_concurrent_trials: 2", "max_concurrent_trials: 1"
    )
    project.write("tiny.yaml", f"{MANIFEST}{sweep}")
    first = azure(project, cloud, "--detach", "--pause=0.3", "--num_epochs=12")
    second = azure(project, cloud, "--detach", "--pause=0.3", "--num_epochs=100")
    assert (first.exit_code, second.exit_code) == (0, 0), first.stderr + second.stderr
    stopped = project.run("stop", second.stdout.strip(), environment=environment)
    assert "Canceled" in stopped.stdout, stopped.stderr
    waited = project.run("wait", first.stdout.strip(), environment=environment)
    assert waited.exit_code == 0, waited.stderr
    home = project.run("download", "--all", environment=environment)
    assert home.exit_code == 0, home.stderr
    done, cancelled = (Path(line) for line in home.stdout.splitlines())
    trials = sweep_in(done)["trials"]
    assert [(trial["state"], trial["reason"]) for trial in trials] == [
        ("completed", ""),
        ("terminated", "stopped early by Azure Machine Learning"),
    ]
    assert 1 <= len((done / "trials" / "001" / "logs" / "training.csv").read_text().splitlines()) - 1 < 12
    assert sweep_in(cancelled)["exit_code"] == 143
    assert {trial["state"] for trial in sweep_in(cancelled)["trials"]} == {"stopped"}
    listed = json.loads(project.run("ps", "--target", "azureml", "--json", environment=environment).stdout)
    assert {one["run"] for one in listed} >= {done.name, cancelled.name}
    assert not any(one["reference"].endswith(("_0", "_1")) for one in listed)


@pytest.mark.usefixtures("image")
def test_each_fold_is_equal_to_that_of_this_machine_and_so_is_their_ensemble(project: Project, cloud: Any) -> None:
    project.write("tiny.yaml", f"{MANIFEST}{FOLDS.replace('2}', '2, ensemble: weights}')}")
    there = azure(project, cloud)
    assert there.exit_code == 0, there.stderr
    (remedy,) = re.findall(
        "the ensemble of the folds has not run: innereye-run (resume .* --target process)", there.stderr
    )
    assert sweep_in(there.run)["ensemble"] is None
    assert "has not run" in project.run("status", str(there.run)).stdout
    refused = project.run("resume", str(there.run))
    assert (refused.exit_code, remedy in refused.stderr) == (2, True)
    resumed = project.run(*remedy.split())
    assert resumed.exit_code == 0, resumed.stderr
    here = project.run("--target", "process", "tiny.yaml")
    assert here.exit_code == 0, here.stderr
    folds = [sweep_in(folder)["trials"] for folder in (there.run, here.run)]
    assert [[(one["name"], one["fold"], one["group"], one["state"]) for one in trials] for trials in folds] == [
        [("000", 0, 0, "completed"), ("001", 1, 0, "completed")]
    ] * 2
    weights = [
        [json.loads((run / f"trials/{name}/run.json").read_text())["checkpoints"]["last"] for name in ("000", "001")]
        for run in (there.run, here.run)
    ]
    assert [one["weights_sha256"] for one in weights[0]] == [one["weights_sha256"] for one in weights[1]]
    assert weights[0][0]["weights_sha256"] != weights[0][1]["weights_sha256"]
    means = [json.loads((run / "metrics.json").read_text())["mean"] for run in (there.run, here.run)]
    assert means[0] == means[1]
    ensembles = [json.loads((run / "metrics.json").read_text())["ensemble"] for run in (there.run, here.run)]
    assert ensembles[0] == ensembles[1]
    assert (ensembles[0]["state"], sweep_in(there.run)["state"]) == ("completed", "completed")
