"""The old command line as its documentation shows it: with nothing but the class, and told in its own words."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, tiny_project

from InnerEye.ML import runner
from innereye_runtime.compat.innereye_cli import translate
from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.targets.azureml.plan import AzureMLPlan, plan_for
from innereye_runtime.targets.azureml.settings import default_cluster

WORDS = ["--model=Tiny", "--model_configs_namespace=tiny"]
CONFIG = {"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return tiny_project(tmp_path)


def plan_of(project: Project, *more: str, **environment: str) -> AzureMLPlan:
    words = [*WORDS, "--azureml=True", *more]
    command = translate(words, cluster=lambda: default_cluster(environment, project.root))
    job = resolve_job(command.text, cwd=project.root, overrides=command.overrides, target=command.target)
    return plan_for(job, environment)


@pytest.mark.parametrize("place", ["variable", "settings.yml", "InnerEye/settings.yml", "user"])
def test_azureml_needs_no_other_option(project: Project, tmp_path: Path, place: str) -> None:
    project.write("config.json", json.dumps(CONFIG))
    environment = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    match place:
        case "variable":
            environment["INNEREYE_AZUREML_CLUSTER"] = "big"
        case "user":
            project.write("config/innereye-runtime/config.yaml", "azureml: {cluster: big}\n")
        case file:
            project.write(file, "variables:\n  cluster: big\n  workspace_name: other\n")
    plan = plan_of(project, **environment)
    assert (plan.cluster, plan.workspace.complete()) == ("big", ("s", "g", "w"))


def test_the_toolboxs_settings_name_the_workspace_too(project: Project) -> None:
    lines = ["variables:", "  cluster: big", "  subscription_id: s", "  resource_group: g", "  workspace_name: w"]
    project.write("InnerEye/settings.yml", "\n".join(lines))
    assert plan_of(project).workspace.complete() == ("s", "g", "w")
    assert plan_of(project, "--cluster=small").cluster == "small"
    project.write("InnerEye/settings.yml", "variables: [")
    with pytest.raises(UsageError, match=r"settings\.yml is not YAML"):
        plan_of(project)


def test_what_is_missing_is_told_in_options_of_this_command_line(project: Project) -> None:
    with pytest.raises(UsageError, match="no cluster is named for --azureml") as caught:
        plan_of(project, HOME="/home/someone")
    assert "add --cluster=NAME" in caught.value.hint
    assert "/home/someone/.config/innereye-runtime/config.yaml" in caught.value.hint
    with pytest.raises(PreflightError, match="--subscription_id, --resource_group, --workspace_name: set") as missing:
        plan_of(project, "--cluster=c").workspace.complete()
    assert "manifest" not in f"{caught.value} {caught.value.hint} {missing.value} {missing.value.hint}"


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["--model=Tiney", WORDS[1]], ["there is no class 'Tiney'", "did you mean 'Tiny'?", "--model=Tiney"]),
        (["--model=Tiny", "--model_configs_namespace=tin"], ["no module tin", "--model_configs_namespace=tin"]),
        (["--model=Tiny"], ["it is in", "add --model_configs_namespace=tiny"]),
        (
            [*WORDS, "--num_nodes=2", "--use_gpu=True"],
            ["would share this machine's GPUs", "add --azureml, or leave --num_nodes out"],
        ),
        ([*WORDS, "--max_run_duration=soon"], ["not a time with a unit", "--max_run_duration=soon"]),
        ([*WORDS, "--width=x"], ["--width=x"]),
        ([*WORDS, "--azure_dataset_id=lungs"], ["'lungs' has an id but no local copy", "set --local_dataset"]),
        ([*WORDS, "--no-azureml", "--azureml"], ["--azureml and --no-azureml are both there"]),
        ([*WORDS, "--pl_deterministic", "--no-pl_deterministic"], ["say the opposite", "keep one of them"]),
    ],
)
def test_problems_are_told_at_the_words_of_the_command_line(
    project: Project,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    sentences: list[str],
) -> None:
    monkeypatch.chdir(project.root)
    assert runner.main(words) in (2, 5)
    told = capsys.readouterr().err
    assert [sentence for sentence in sentences if sentence not in told] == []
    assert "<manifest>" not in told and "MANIFEST" not in told and "container.namespaces" not in told


@pytest.mark.parametrize(
    "flag", ["--azureml", "--azureml=yes", "--azureml True", "--azureml=False", "--no-azureml", ""]
)
def test_the_old_grammar_of_booleans(flag: str) -> None:
    wanted = "azureml" if flag in ("--azureml", "--azureml=yes", "--azureml True") else None
    assert translate([*WORDS, *flag.split()]).target == wanted


def test_options_that_need_no_action_are_taken_with_a_note() -> None:
    silent = [
        "--wait_for_completion=True",
        "--use_dataset_mount",
        "--log_level=DEBUG",
        "--build_number=7",
        "--tenant_id=t",
    ]
    command = translate([*WORDS, *silent, "--no-wait_for_completion_seconds", "--hyperdrive=False", "--tag=mine"])
    assert command.overrides == ["--tag=mine"]
    assert [note.partition(" ")[0] for note in command.notes] == [
        "--wait_for_completion",
        "--use_dataset_mount",
        "--log_level",
        "--build_number",
        "--tenant_id",
        "--wait_for_completion_seconds",
    ]
    with pytest.raises(UsageError, match="--hyperdrive"):
        translate([*WORDS, "--hyperdrive"])


@pytest.mark.parametrize(
    ("words", "has_gpu", "gpus"),
    [([], True, "all"), ([], False, None), (["--use_gpu=False"], True, None), (["--no-use_gpu"], True, None)],
)
def test_gpus_that_are_there_are_used(words: list[str], has_gpu: bool, gpus: str | None) -> None:
    manifest: dict[str, Any] = json.loads(translate([*WORDS, *words], has_gpu=lambda: has_gpu).text)
    assert manifest["compute"].get("gpus") == gpus


def test_the_runner_is_started_as_a_file_of_a_checkout(project: Project) -> None:
    configs = project.root / "InnerEye" / "ML"
    configs.mkdir(parents=True)
    shutil.copy(runner.__file__, configs / "runner.py")
    (configs / "random.py").write_text("raise SystemExit('a module beside the runner was imported')\n")
    words = [sys.executable, "InnerEye/ML/runner.py", *WORDS, "--num_epochs=1", "--wait_for_completion=True"]
    environment = {**os.environ, "PYTHONPATH": str(Path(runner.__file__).parents[2])}
    done = subprocess.run(words, cwd=project.root, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "note: --wait_for_completion needs no action here" in done.stderr
    assert Path(done.stdout.splitlines()[-1]).parent == project.root / "outputs"
