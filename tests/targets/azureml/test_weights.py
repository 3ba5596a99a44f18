"""Weights to start from: a file here, an earlier job's checkpoint, a registered model; each is an input of the job."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, Result, tiny_project
from tests.targets.azureml.conftest import MANIFEST, azure

from innereye_runtime.errors import UsageError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.targets.azureml.local_files import refuse_missing
from innereye_runtime.targets.azureml.plan import AzureMLPlan, plan_for

ADDRESS = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/jobs/job-1"
EPOCH = "--num_epochs=1"


def inputs_of(project: Project, *overrides: str) -> dict[str, Any]:
    job = resolve_job(project.root / "tiny.yaml", cwd=project.root, overrides=overrides, target="azureml")
    found: dict[str, Any] = plan_for(job, {}).describe()["job"].get("inputs", {})
    return found


@pytest.mark.parametrize(
    ("word", "type", "path"),
    [
        ("src_checkpoint=a.ckpt", "uri_file", "ROOT/a.ckpt"),
        ("src_checkpoint=outputs/run:best.ckpt", "uri_file", "ROOT/outputs/run/checkpoints/best.ckpt"),
        ("src_checkpoint=job-1", "uri_file", "azureml://jobs/job-1/outputs/run/paths/checkpoints/best.ckpt"),
        ("src_checkpoint=job-1:last.ckpt", "uri_file", "azureml://jobs/job-1/outputs/run/paths/checkpoints/last.ckpt"),
        (
            "src_checkpoint=azureml://jobs/job-1",
            "uri_file",
            "azureml://jobs/job-1/outputs/run/paths/checkpoints/best.ckpt",
        ),
        (f"src_checkpoint={ADDRESS}", "uri_file", "azureml://jobs/job-1/outputs/run/paths/checkpoints/best.ckpt"),
        ("src_checkpoint=azureml:lungs:3", "custom_model", "azureml:lungs:3"),
        ("src_checkpoint=azureml:lungs@latest", "custom_model", "azureml:lungs@latest"),
        ("model_id=lungs:3", "custom_model", "azureml:lungs:3"),
    ],
)
def test_weights_that_a_parameter_names_are_an_input(tmp_path: Path, word: str, type: str, path: str) -> None:
    project = tiny_project(tmp_path, MANIFEST)
    for name in ("a.ckpt", "outputs/run/checkpoints/best.ckpt"):
        project.write(name, "weights")
    name = f"given_{word.partition('=')[0]}"
    expected = {name: {"type": type, "path": path.replace("ROOT", str(tmp_path)), "mode": "download"}}
    assert inputs_of(project, f"--{word}") == expected


def test_weights_that_nobody_has_are_refused_before_anything_is_sent(tmp_path: Path) -> None:
    project = tiny_project(tmp_path, MANIFEST)
    assert inputs_of(project, "--src_checkpoint=https://example.org/a.ckpt") == {}
    for word in ("missing.ckpt", "outputs/run:best.ckpt", "azureml:lungs", "azureml://models/lungs"):
        with pytest.raises(UsageError, match=f"^src_checkpoint: '.*{word}' is neither a file nor a run here"):
            inputs_of(project, f"--src_checkpoint={word}")
    project.write(
        "tiny.yaml", MANIFEST.replace("experiment: trials", "inputs: {given_model_id: {path: 'azureml:a:1'}}")
    )
    with pytest.raises(UsageError, match=r"'inputs\.given_model_id' is a name that the runtime uses itself"):
        inputs_of(project)


def test_a_path_of_an_earlier_node_is_one_of_the_next_or_refused(tmp_path: Path) -> None:
    """In the manifest of a run that is started again: its command line named them, relative to the code."""
    node = "/mnt/azureml/cr/j/0badcafe"
    project = tiny_project(tmp_path, MANIFEST)
    project.write("weights/a.ckpt", "weights")
    run = tmp_path / "outputs" / "run"

    def planned(path: str, inputs: str = "") -> tuple[Any, AzureMLPlan]:
        args = f"Tiny, args: {{local_weights_path: ['{path}']}},"
        text = MANIFEST.replace("Tiny,", args).replace("experiment: trials", f"experiment: trials{inputs}")
        project.write("outputs/run/manifest.yaml", text)
        job = resolve_job(run / "manifest.yaml", cwd=tmp_path, target="azureml", root=tmp_path, run_folder=run)
        plan = plan_for(replace(job, restart=True), {})
        return plan.manifest.container.args["local_weights_path"], plan

    found, plan = planned(f"{node}/exe/wd/weights/a.ckpt")
    assert found == ["../../weights/a.ckpt"] and "../../weights/a.ckpt" in plan.manifest_text
    (named,) = plan.named_files
    assert named.local == tmp_path / "weights" / "a.ckpt"
    refuse_missing(plan.named_files, plan.code, ["weights/a.ckpt"])
    with pytest.raises(UsageError, match="is not part of the job's code"):
        refuse_missing(plan.named_files, plan.code, ["tiny.py"])
    inside = f"{node}/cap/data-capability/wd/INPUT_more/a.ckpt"
    found, _ = planned(inside, ", inputs: {more: {path: 'azureml:more:1'}}")
    assert found == ["$AZURE_ML_INPUT_more/a.ckpt"]
    for path in (inside, f"{node}/cap/data-capability/wd/run/a.ckpt"):
        with pytest.raises(UsageError, match=f"^local_weights_path: {path} is a path of an earlier job's node"):
            planned(path)


def test_each_source_of_weights_trains_and_tests_what_it_does_here(
    project: Project, cloud_for: Callable[..., Any], image: str
) -> None:
    """Fine-tuning from a file, from a job and from a registered model, training alone and inference alone."""
    project.write("tiny.yaml", MANIFEST + "outputs: {register: {name: tiny}}\n")
    with cloud_for() as cloud:
        environment = cloud.environment()
        earlier = azure(project, cloud, EPOCH, "--width=6")
        assert earlier.exit_code == 0, earlier.stderr
        (job,) = cloud.workspace.jobs
        best = earlier.run / "checkpoints" / "best.ckpt"
        project.write("tiny.yaml", MANIFEST)
        words = ("--width=6", "--num_epochs=2")
        here = project.run("--target", "process", "tiny.yaml", *words, f"--src_checkpoint={best}")
        alone = project.run(
            "--target", "process", "tiny.yaml", *words, "--run_inference_only=True", f"--src_checkpoint={best}"
        )
        assert (here.exit_code, alone.exit_code) == (0, 0), earlier.stdout + earlier.stderr + here.stdout + alone.stdout

        named = (best, f"azureml://jobs/{job}", f"{job}:best.ckpt", "azureml:tiny@latest")
        starts = [*(f"--src_checkpoint={source}" for source in named), "--model_id=tiny:1"]
        queued = [azure(project, cloud, "--detach", *words, start) for start in starts]
        queued.append(azure(project, cloud, "--detach", *words, "--run_inference_only=True", starts[1]))
        assert {one.exit_code for one in queued} == {0}, [one.stderr for one in queued]
        waited = project.run("wait", *(one.stdout.strip() for one in queued), environment=environment)
        assert waited.exit_code == 0, waited.stdout + waited.stderr
        home = project.run("download", "--all", "--json", environment=environment)
        *tuned, tested = [Path(one["run"]) for one in json.loads(home.stdout)]
        assert {weights_of(run) for run in tuned} == {here.weights}
        assert weights_of(earlier.run) != here.weights
        assert metrics_of(tested)["test"] == metrics_of(alone.run)["test"]
        again = project.run("resume", str(tuned[1]), "--restart", environment=environment)
        assert again.exit_code == 0, again.stderr
        assert (again.weights, len(again.record["attempts"])) == (here.weights, 2)

        for start, reason in (
            ("src_checkpoint=job-1", "workspace emulator-ws has no job job-1"),
            (f"src_checkpoint={job}:other.ckpt", f"job {job} has no checkpoint other.ckpt"),
            (f"src_checkpoint={ADDRESS}", "job job-1 is in another workspace"),
            ("model_id=tiny:9", "workspace emulator-ws has no model tiny:9"),
        ):
            refused = azure(project, cloud, f"--{start}")
            assert refused.exit_code == 5, refused.stderr
            assert f"error: {start.partition('=')[0]}: {reason}" in refused.stderr


def weights_of(run: Path) -> str:
    return Result(exit_code=0, stdout=str(run), stderr="").weights


def metrics_of(run: Path) -> Any:
    return json.loads((run / "metrics.json").read_text())
