"""What each key of a manifest becomes in a job file: golden files, each of which the SDK and the emulator take, within
Microsoft's description."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import ROOT, checked
from tests.targets.azureml.test_plan import plan_of

from innereye_runtime.targets.azureml.plan import AzureMLPlan

GOLDEN = Path(__file__).parent / "golden"
BASE = "cluster: gpu, image: registry/image:1"
KEYS = {
    "cluster": f"compute: {{azureml: {{{BASE}}}}}",
    "serverless": "compute: {nodes: 2, azureml: {instance_type: Standard_NC6s_v3, image: registry/image:1}}",
    "spot": "compute: {azureml: {instance_type: Standard_NC6s_v3, job_tier: spot, image: registry/image:1}}",
    "instance-type-of-kubernetes": f"compute: {{azureml: {{{BASE}, instance_type: gpu-large}}}}",
    "identity-token": f"compute: {{azureml: {{{BASE}, identity: token}}}}",
    "identity-user": f"compute: {{azureml: {{{BASE}, identity: user}}}}",
    "identity-managed": f"compute: {{azureml: {{{BASE}, identity: managed}}}}",
    "identity-by-client-id": f"compute: {{azureml: {{{BASE}, identity: managed, "
    "client_id: 00000000-0000-0000-0000-000000000001}}",
    "datastore": f"compute: {{azureml: {{{BASE}, datastore: workspaceartifactstore}}}}",
    "experiment": f"compute: {{azureml: {{{BASE}, experiment: lungs}}}}",
    "tags": f'compute: {{azureml: {{{BASE}, tags: {{grant: "42"}}}}}}',
    "environment-latest": "compute: {azureml: {cluster: gpu, environment: 'azureml:lungs@latest'}}",
    "environment-version": "compute: {azureml: {cluster: gpu, environment: 'azureml:lungs:1'}}",
    "environment-curated": "compute: {azureml: {cluster: gpu, environment: "
    "'azureml://registries/azureml/environments/pytorch/versions/3'}}",
    "image": f"compute: {{azureml: {{{BASE}}}}}",
    "nodes-and-processes": f"compute: {{nodes: 2, processes: 3, azureml: {{{BASE}}}}}",
    "gpus": f"compute: {{gpus: 4, azureml: {{{BASE}}}}}",
    "shared-memory": f"compute: {{shm_size: 1.5g, azureml: {{{BASE}}}}}",
    "time-limit": f"compute: {{max_duration: 2h, azureml: {{{BASE}}}}}",
    "dataset-mounted": f"dataset: {{id: hello}}\ncompute: {{azureml: {{{BASE}}}}}",
    "datasets": "datasets: [{id: 'hello:1'}, {id: hello, mode: download}]\n" + f"compute: {{azureml: {{{BASE}}}}}",
    "input-file": f"compute: {{azureml: {{{BASE}, inputs: {{labels: {{type: uri_file, path: 'azureml:labels:1'}}}}}}}}",
    "input-folder": f"compute: {{azureml: {{{BASE}, inputs: {{more: {{path: 'azureml:hello@latest', "
    "mode: download}}}}",
    "input-table": f"compute: {{azureml: {{{BASE}, inputs: {{table: {{type: mltable, path: 'azureml:table:1', "
    "mode: eval_mount}}}}",
    "input-model": f"compute: {{azureml: {{{BASE}, inputs: {{weights: {{type: custom_model, "
    "path: 'azureml:lungs@latest'}}}}",
    "input-mlflow-model": f"compute: {{azureml: {{{BASE}, inputs: {{weights: {{type: mlflow_model, "
    "path: 'azureml:lungs:1'}}}}",
    "input-of-a-datastore": f"compute: {{azureml: {{{BASE}, inputs: {{raw: "
    "{path: 'azureml://datastores/workspaceblobstore/paths/raw/'}}}}",
    "input-of-an-earlier-job": f"compute: {{azureml: {{{BASE}, inputs: {{earlier: "
    "{path: 'azureml://jobs/earlier/outputs/run/paths/checkpoints/'}}}}",
    "output": f"compute: {{azureml: {{{BASE}, outputs: {{masks: {{}}}}}}}}",
    "output-uploaded": f"compute: {{azureml: {{{BASE}, outputs: {{masks: {{mode: upload, "
    "path: 'azureml://datastores/workspaceblobstore/paths/masks'}}}}",
    "output-as-data-asset": f"compute: {{azureml: {{{BASE}, outputs: {{masks: {{name: lung-masks}}}}}}}}",
    "output-as-model": f"compute: {{azureml: {{{BASE}, outputs: {{exported: {{type: mlflow_model, "
    "name: lungs-exported}}}}",
    "service-tensorboard": f"compute: {{azureml: {{{BASE}, services: {{board: {{type: tensor_board, "
    "log_dir: outputs}}}}",
    "service-ssh": f"compute: {{azureml: {{{BASE}, services: {{shell: {{type: ssh, "
    "ssh_public_keys: 'ssh-ed25519 AAAA', nodes: all}}}}",
    "services-of-editors": f"compute: {{azureml: {{{BASE}, services: {{code: {{type: vs_code}}, "
    "lab: {type: jupyter_lab}}}}",
    "any-other-field": f"compute: {{azureml: {{{BASE}, job: {{description: first, "
    "resources: {docker_args: --ipc=host}, properties: {ward: '3'}}}}",
    "environment-variables": f"environment: {{OMP_NUM_THREADS: '2'}}\ncompute: {{azureml: {{{BASE}}}}}",
    "weights-of-a-job": f"compute: {{azureml: {{{BASE}}}}}",
    "weights-of-a-model": f"compute: {{azureml: {{{BASE}}}}}",
    "sweep-grid": "sweep: {search_space: {width: {values: [4, 8]}}, objective: {primary_metric: val/loss}}\n"
    f"compute: {{max_duration: 1h, azureml: {{{BASE}}}}}",
    "sweep-random": "sweep: {search_space: {width: {type: quniform, min_value: 4, max_value: 9, q: 2}, "
    "pause: {type: loguniform, min_value: 1e-2, max_value: 1}}, sampling_algorithm: {type: random, seed: 7}, "
    "limits: {max_total_trials: 9, max_concurrent_trials: 3, timeout: 2h}, objective: {primary_metric: val/loss}, "
    f"early_termination: {{type: bandit, slack_factor: 0.1}}}}\ncompute: {{nodes: 2, azureml: {{{BASE}}}}}",
    "sweep-bayesian-serverless": "sweep: {search_space: {pause: {type: uniform, min_value: 0, max_value: 1}}, "
    "sampling_algorithm: bayesian, limits: {max_total_trials: 9}, objective: {primary_metric: val/loss}}\n"
    "compute: {azureml: {instance_type: Standard_NC6s_v3, job_tier: spot, image: registry/image:1}}",
    "folds": f"dataset: {{id: hello}}\ncross_validation: {{splits: 5}}\ncompute: {{azureml: {{{BASE}}}}}",
}
"""A manifest for each key of target azureml, without its container."""
ARGUMENTS = {
    "weights-of-a-job": "src_checkpoint: 'azureml://jobs/earlier:last.ckpt'",
    "weights-of-a-model": "model_id: 'lungs:1'",
}
"""Of the container."""


def text_of(name: str) -> str:
    """The manifest. Its mappings in one line are closed here: braces are doubled in f-strings and not elsewhere."""
    text = KEYS[name]
    line = text.splitlines()[-1]
    closed = text + "}" * (line.count("{") - line.count("}"))
    arguments = f", args: {{{ARGUMENTS[name]}}}" if name in ARGUMENTS else ""
    return f"schema: 1\ncontainer: {{class: Tiny, namespaces: [tiny]{arguments}}}\n{closed}\n"


@pytest.mark.parametrize("name", KEYS)
def test_each_key_has_its_place_in_the_job_file(project: Project, name: str) -> None:
    found = plan_of(project, manifest=text_of(name)).job_file().replace(str(project.root), "/project")
    golden = GOLDEN / f"{name}.yaml"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert golden.read_text() == found


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.iterdir()} == KEYS.keys()
    assert len(KEYS) >= 40


@pytest.fixture(scope="module")
def control_plane(needs: Callable[..., None]) -> Iterator[Any]:
    """An emulator whose jobs are accepted and never start."""
    needs("azure", "azurite")
    from azureml_emulator.emulator import open_emulator

    with open_emulator(ROOT) as emulator:
        emulator.runner.start = lambda job: job.set_status("Queued")  # type: ignore[method-assign]
        workspace = emulator.workspace
        for blob in ("hello/a", "innereye-runtime/Tiny/earlier/checkpoints/last.ckpt"):
            workspace.blobs.get_container_client(workspace.store).upload_blob(blob, b"a")
        for kind, name in (("data", "hello"), ("data", "labels"), ("data", "table"), ("models", "lungs")):
            place = "dataUri" if kind == "data" else "modelUri"
            what = "dataType" if kind == "data" else "modelType"
            properties = {place: workspace.datastore_uri("hello/a"), what: "uri_folder", "properties": {}, "tags": {}}
            workspace.put(kind, name, "1", properties | ({"flavors": {}} if kind == "models" else {}))
        environment = {"image": "registry/image:1", "properties": {}, "tags": {}, "isAnonymous": False}
        workspace.put("environments", "lungs", "1", environment)
        yield emulator


def submit_all(plans: dict[str, AzureMLPlan], cloud: Any, session: Any) -> None:
    from innereye_runtime.targets.azureml.snapshot import take_snapshot
    from innereye_runtime.targets.azureml.submission import Submission, submit

    for name, plan in plans.items():
        submission = Submission(name=name, run=name, token="0")
        submit(session, plan, submission, take_snapshot(plan.code, without=plan.outputs_folder), {}, tags={})
        assert cloud.workspace.jobs[name].status == "Queued"


@pytest.mark.filterwarnings("ignore")  # the SDK's own
def test_the_sdk_and_the_published_description_take_each(
    project: Project, control_plane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from innereye_runtime.targets.azureml.session import Session

    for name, value in control_plane.environment().items():
        monkeypatch.setenv(name, value)
    workspace = control_plane.workspace
    plans = {name: plan_of(project, manifest=text_of(name)) for name in KEYS}
    first = {"earlier": plans["cluster"]}
    with checked(control_plane):
        submit_all({**first, **plans}, control_plane, Session(workspace.subscription, workspace.group, workspace.name))
    sent = {name: job.properties for name, job in workspace.jobs.items()}
    assert sent["identity-by-client-id"]["identity"]["clientId"].endswith("-000000000001")
    assert sent["input-model"]["inputs"]["weights"]["uri"].endswith("/models/lungs/versions/1")
    assert sent["weights-of-a-model"]["inputs"]["given_model_id"]["uri"].endswith("/models/lungs/versions/1")
    checkpoint = sent["weights-of-a-job"]["inputs"]["given_src_checkpoint"]
    assert (checkpoint["jobInputType"], checkpoint["mode"]) == ("uri_file", "Download")
    assert checkpoint["uri"].endswith("/paths/innereye-runtime/Tiny/earlier/checkpoints/last.ckpt")
    assert sent["input-table"]["inputs"]["table"]["jobInputType"] == "mltable"
    assert sent["output-as-data-asset"]["outputs"]["masks"]["assetName"] == "lung-masks"
    assert {one["jobServiceType"] for one in sent["services-of-editors"]["services"].values()} == {
        "VSCode",
        "JupyterLab",
    }
    assert sent["folds"]["jobType"] == "Sweep"
