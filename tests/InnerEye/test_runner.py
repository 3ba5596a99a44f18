from __future__ import annotations

import json
from typing import Any

import pytest

from InnerEye.ML import runner
from innereye_runtime.compat.innereye_cli import translate
from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.loading import parse

LOCAL = {"target": "process"}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], str | None]] = {
    "--model=X": ({"class": "X"}, LOCAL, [], None),
    "--model X --model_configs_namespace My.Own.configs": (
        {"class": "X", "namespaces": ["My.Own.configs"]},
        LOCAL,
        [],
        None,
    ),
    "--model=X --l_rate=1e-2 --num_layers 7": ({"class": "X"}, LOCAL, ["--l_rate=1e-2", "--num_layers=7"], None),
    "--model=X --azureml=True": ({"class": "X"}, {"target": "azureml", "gpus": "all"}, [], "azureml"),
    "--azureml --model=X": ({"class": "X"}, {"target": "azureml", "gpus": "all"}, [], "azureml"),
    "--model=X --azureml=False": ({"class": "X"}, LOCAL, [], None),
    "--model=X --train=False": ({"class": "X"}, LOCAL, ["--run_inference_only=true"], None),
    "--model=X --use_gpu=True --num_nodes=2": (
        {"class": "X"},
        {"target": "process", "gpus": "all", "nodes": 2},
        [],
        None,
    ),
    "--model=X --docker_shm_size=2g --hyperdrive=False --max_run_duration=": (
        {"class": "X"},
        {"target": "process", "shm_size": "2g"},
        [],
        None,
    ),
    "--model=X --azureml --subscription_id=s --resource_group=r --workspace_name=w": (
        {"class": "X"},
        {
            "target": "azureml",
            "gpus": "all",
            "azureml": {"subscription_id": "s", "resource_group": "r", "workspace": "w"},
        },
        [],
        "azureml",
    ),
    "--model=X --azureml=True --cluster=gpu --experiment_name=e --max_run_duration=2h": (
        {"class": "X"},
        {"target": "azureml", "gpus": "all", "max_duration": "2h", "azureml": {"cluster": "gpu", "experiment": "e"}},
        [],
        "azureml",
    ),
}


AZURE = {"target": "azureml", "gpus": "all", "azureml": {"cluster": "gpu"}}
SUCCESSORS: dict[str, tuple[dict[str, Any], dict[str, Any], list[str], str | None]] = {
    "--model=my.configs.Mine": ({"class": "my.configs:Mine"}, LOCAL, [], None),
    "--model=Mine --cluster=gpu --mode=train": ({"class": "Mine"}, AZURE, [], "azureml"),
    "--model=Mine --cluster gpu --no-azureml": ({"class": "Mine"}, LOCAL, [], None),
    "--model=Mine --cluster= --strictly_aml_v1 --debug_ddp=OFF": ({"class": "Mine"}, LOCAL, [], None),
    "--model=Mine --mode=eval_full --src_checkpoint=run:best.ckpt": (
        {"class": "Mine"},
        LOCAL,
        ["--eval_full=true", "--src_checkpoint=run:best.ckpt"],
        None,
    ),
}


@pytest.mark.parametrize("line", SUCCESSORS)
def test_the_successors_command_line_becomes_a_manifest(line: str) -> None:
    container, compute, overrides, target = SUCCESSORS[line]
    command = translate(line.split(), successor=True)
    assert json.loads(command.text) == {"schema": 1, "container": container, "compute": compute}
    assert (command.overrides, command.target) == (overrides, target)


def test_options_of_the_successor_alone_are_parameters_at_the_old_door() -> None:
    words = ["--model=X", "--mode=train", "--conda_env=a.yml"]
    assert translate(words).overrides == words[1:]
    with pytest.raises(UsageError, match="--conda_env is an option of hi-ml alone"):
        translate(words, successor=True)


@pytest.mark.parametrize("line", CASES)
def test_the_old_command_line_becomes_a_manifest(line: str) -> None:
    container, compute, overrides, target = CASES[line]
    command = translate(line.split())
    assert json.loads(command.text) == {"schema": 1, "container": container, "compute": compute}
    assert (command.overrides, command.target) == (overrides, target)


def test_the_manifest_is_one_that_loads() -> None:
    command = translate(["--model=X", "--model_configs_namespace=a.b", "--use_gpu=True", "--max_run_duration=2h"])
    loaded = parse(command.text.encode(), path=None, source="<command line>")
    assert loaded.diagnostics == ()
    assert loaded.manifest is not None
    assert loaded.manifest.container.namespaces == ("a.b",)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "no model"),
        ("--model=", "no model"),
        ("X", "'X' is not an option"),
        ("--model=X --azureml=maybe", "true or false"),
        ("--model=X --num_nodes=two", "whole number"),
        ("--model=X --hyperdrive=True", "--hyperdrive is an option of the InnerEye toolbox alone"),
        ("--model=X --run_recovery_id=exp:run_1", "--run_recovery_id is an option"),
    ],
)
def test_a_wrong_command_line_is_told(line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        translate(line.split())


def test_a_wrong_old_command_line_is_told_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.main(["--l_rate=1"]) == 2
    assert capsys.readouterr().err.startswith("error: no model is named\nhint: write --model=CLASS")
