"""The plan is a value, and its text a job file that Azure's own command line takes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project
from tests.targets.azureml.conftest import IMAGE, MANIFEST

from innereye_runtime.errors import DataError, PreflightError, UsageError
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.manifest.model import Dataset
from innereye_runtime.targets.azureml.job_file import job_data
from innereye_runtime.targets.azureml.own_fields import ELSEWHERE
from innereye_runtime.targets.azureml.plan import AzureMLPlan, _data_path, plan_for
from innereye_runtime.targets.azureml.settings import Setting
from innereye_runtime.targets.azureml.submission import check, new_submission


def job_of(project: Project, *overrides: str, manifest: str = MANIFEST, **more: Any) -> Job:
    path = project.write("tiny.yaml", manifest)
    return resolve_job(path, cwd=project.root, overrides=overrides, target="azureml", **more)


def plan_of(project: Project, *overrides: str, manifest: str = MANIFEST, **environment: str) -> AzureMLPlan:
    return plan_for(job_of(project, *overrides, manifest=manifest), environment)


def test_a_plan_equals_one_made_again(project: Project) -> None:
    assert plan_of(project, "--width=3") == plan_of(project, "--width=3")
    assert plan_of(project, "--width=3") != plan_of(project, "--width=4")


def test_the_job_says_what_the_manifest_says(project: Project) -> None:
    manifest = """\
schema: 1
name: my trial
container: {class: Tiny, namespaces: [tiny]}
datasets:
  - {id: "scans:3"}
  - {id: masks, mode: download}
  - {id: raw/2024, mode: auto}
  - {id: "azure://imaging/atlases/brain/t1"}
compute:
  nodes: 2
  gpus: 4
  shm_size: 1.5g
  max_duration: 2h
  azureml:
    subscription_id: s
    resource_group: g
    workspace: w
    cluster: big
    instance_type: four-gpus
    identity: user
    datastore: imaging
    image: registry/image:1
    tags: {project: lungs, model: "my own word"}
environment: {OMP_NUM_THREADS: "2"}
secrets: [WANDB_API_KEY]
"""
    assert plan_of(project, "--width=3", manifest=manifest).describe() == {
        "target": "azureml",
        "workspace": {"subscription_id": "s (manifest)", "resource_group": "g (manifest)", "workspace": "w (manifest)"},
        "secrets": ["WANDB_API_KEY"],
        "job": {
            "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
            "type": "command",
            "display_name": "my trial",
            "experiment_name": "my-trial",
            "compute": "azureml:big",
            "environment": {"image": "registry/image:1"},
            "code": str(project.root),
            "command": 'INNEREYE_RUNTIME_LAUNCH="$PWD/innereye-runtime-launch.json" '
            "innereye-runtime --target=azureml --run-folder=innereye-runtime-run --stage-to=${{outputs.run}} "
            '--code-root="$PWD" --dataset=${{inputs.dataset_0}} --dataset=${{inputs.dataset_1}} '
            "--dataset=${{inputs.dataset_2}} --dataset=${{inputs.dataset_3}} tiny.yaml --width=3",
            "identity": {"type": "user_identity"},
            "inputs": {
                "dataset_0": {"type": "uri_folder", "path": "azureml:scans:3", "mode": "ro_mount"},
                "dataset_1": {"type": "uri_folder", "path": "azureml:masks@latest", "mode": "download"},
                "dataset_2": {
                    "type": "uri_folder",
                    "path": "azureml://datastores/imaging/paths/raw/2024",
                    "mode": "ro_mount",
                },
                "dataset_3": {
                    "type": "uri_folder",
                    "path": "wasbs://atlases@imaging.blob.core.windows.net/brain/t1",
                    "mode": "ro_mount",
                },
            },
            "outputs": {
                "run": {
                    "type": "uri_folder",
                    "path": "azureml://datastores/imaging/paths/innereye-runtime/my-trial/<UTC start>_Tiny",
                    "mode": "rw_mount",
                }
            },
            "resources": {"instance_count": 2, "instance_type": "four-gpus", "shm_size": "1536m"},
            "distribution": {"type": "pytorch", "process_count_per_instance": 4},
            "limits": {"timeout": 7200},
            "environment_variables": {"OMP_NUM_THREADS": "2"},
            "tags": {"model": "my own word", "manifest": "tiny.yaml", "project": "lungs"},
        },
    }


def test_what_the_manifest_leaves_out_is_left_to_azureml(project: Project) -> None:
    job = plan_of(project).describe()["job"]
    assert job.keys() & {"identity", "distribution", "limits", "inputs"} == set()
    assert job["resources"] == {"instance_count": 1}
    assert job["outputs"]["run"]["path"].startswith("azureml://datastores/workspaceblobstore/paths/")


def test_a_job_that_names_no_cluster_is_serverless(project: Project, needs: Callable[..., None]) -> None:
    serverless = MANIFEST.replace("cluster: cpu", "instance_type: Standard_D4s_v3, job_tier: spot")
    serverless = serverless.replace("compute:\n", "compute:\n  nodes: 2\n")
    plan = plan_of(project, manifest=serverless)
    job = plan.describe()["job"]
    assert "compute" not in job
    assert job["queue_settings"] == {"job_tier": "spot"}
    assert job["resources"] == {"instance_count": 2, "instance_type": "Standard_D4s_v3"}
    needs("azure")
    code = """
import io, sys
from azure.ai.ml import load_job
job = load_job(io.StringIO(sys.stdin.read()))
print(job.compute, job.queue_settings.job_tier, job.resources.instance_type)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], input=plan.job_file(), capture_output=True, text=True
    )
    assert done.stdout.split() == ["None", "spot", "Standard_D4s_v3"], done.stderr


OWN = """\
    job:
      description: a first trial
      parent_job_name: sweep-1
      resources: {docker_args: --ipc=host, locations: [westeurope]}
      inputs: {level: 3}
      tags: {grant: "42"}
"""


def with_job(fields: str) -> str:
    """The manifest with `compute.azureml.job`, in block style."""
    settings = f'  azureml:\n    cluster: cpu\n    image: "{IMAGE}"\n{fields}'
    return re.sub(r"  azureml: .*\n", lambda match: settings, MANIFEST)


@pytest.mark.filterwarnings("ignore")  # the SDK's own
def test_fields_in_azures_words_are_merged_into_the_job(project: Project, needs: Callable[..., None]) -> None:
    plan = plan_of(project, manifest=with_job(OWN))
    job = plan.describe()["job"]
    assert job["resources"] == {"instance_count": 1, "docker_args": "--ipc=host", "locations": ["westeurope"]}
    assert job["tags"] == {"model": "Tiny", "manifest": "tiny.yaml", "grant": "42"}
    assert (job["description"], job["inputs"]) == ("a first trial", {"level": 3})
    assert job["outputs"].keys() == {"run"}
    assert "compute" in job and "parent_job_name: sweep-1\n" in plan.job_file()
    assert plan_of(project, manifest=with_job("")).own_fields == {}
    needs("azure")
    check(plan)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("{command: echo}", "'command' can't be set there"),
        ("{services: {board: {type: ssh}}}", "'services' can't be set there"),
        ("{identity: {client_id: x}}", "'identity.client_id' can't be set there"),
        ("{resources: {instance_count: 2}}", "'resources.instance_count' can't be set there"),
        ("{outputs: {run: {mode: upload}}}", "'outputs.run' can't be set there"),
        ("{inputs: {dataset_0: x}}", "'inputs.dataset_0' is a name that the runtime uses itself"),
        ("{tags: none}", "'tags' has to be a mapping"),
    ],
)
def test_what_has_a_key_of_its_own_is_not_set_in_azures_words(project: Project, fields: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"compute.azureml.job: {message}")):
        plan_of(project, manifest=with_job(f"    job: {fields}\n"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("inputs: {dataset_0: {path: 'azureml:x:1'}}", "'inputs.dataset_0' is a name that the runtime uses itself"),
        ("outputs: {run: {}}", "'outputs.run' is a name that the runtime uses itself"),
    ],
)
def test_further_inputs_and_outputs_have_names_of_their_own(project: Project, settings: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"compute.azureml: {message}")):
        plan_of(project, manifest=MANIFEST.replace("azureml: {", f"azureml: {{{settings}, "))


@pytest.mark.filterwarnings("ignore")  # the SDK's own
@pytest.mark.parametrize("fields", ["{nonsense: 1}", "{resources: {nonsense: 1}}", "{limits: {nonsense: 1}}"])
def test_a_field_that_azure_does_not_know_is_told_before_anything_is_sent(
    project: Project, needs: Callable[..., None], fields: str
) -> None:
    needs("azure")
    with pytest.raises(UsageError, match=r'"nonsense": \[ "Unknown field\." \]') as caught:
        check(plan_of(project, manifest=with_job(f"    job: {fields}\n")))
    assert "compute.azureml.job" in caught.value.hint


def reference_of(kind: str) -> dict[str, str]:
    """The rows of a table of docs/reference/azure.md."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "reference" / "azure.md").read_text()
    section = text.partition(f"## A {kind} job\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", section))


@pytest.mark.filterwarnings("ignore")  # the SDK's own
def test_the_reference_lists_every_field_of_each_job(needs: Callable[..., None]) -> None:
    needs("azure")
    from azure.ai.ml._schema._sweep.sweep_job import SweepJobSchema
    from azure.ai.ml._schema.job.command_job import CommandJobSchema

    for kind, schema in (("command", CommandJobSchema), ("sweep", SweepJobSchema)):
        made = schema(context={"base_path": "."})
        rows = reference_of(kind)
        assert rows.keys() == {name for name, field in made.fields.items() if not field.dump_only} - {"schema_ignored"}
        assert {name for name, where in rows.items() if "*job*" in where} & ELSEWHERE.keys() == set()
    command = reference_of("command")
    assert {name for name, where in command.items() if where == "*job*"} == {
        *("description", "properties", "parent_job_name")
    }


def test_a_url_that_names_no_folder_of_blobs_is_told_before_anything_is_sent(project: Project) -> None:
    with pytest.raises(DataError, match="'azure://imaging' names no folder of blobs"):
        plan_of(project, manifest=MANIFEST + 'dataset: {id: "azure://imaging"}\n')


@pytest.mark.parametrize(
    ("word", "kind"), [("token", "AmlToken"), ("managed", "ManagedIdentity"), ("user", "UserIdentity")]
)
def test_the_text_is_a_job_file_that_the_sdk_takes(
    project: Project, needs: Callable[..., None], word: str, kind: str
) -> None:
    needs("azure")
    settings = f"{{identity: {word}, instance_type: large, tags: {{project: lungs}}, "
    manifest = MANIFEST.replace("azureml: {", f"azureml: {settings}")
    text = plan_of(project, "--misbehaviour=it's ${{inputs.x}}", manifest=manifest).job_file()
    code = """
import io, sys
from azure.ai.ml import load_job
job = load_job(io.StringIO(sys.stdin.read()))
print(job.type, job.compute, job.outputs["run"].mode, job.resources.instance_type, job.tags["project"])
print(type(job.identity).__name__)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], input=text, capture_output=True, text=True)
    assert done.stdout.split() == ["command", "cpu", "rw_mount", "large", "lungs", f"{kind}Configuration"], done.stderr


@pytest.mark.parametrize("value", ["it's", "a b", "$HOME", "`id`", "${{outputs.run}}", "x;y", "\n", '"', "*"])
def test_bash_gets_each_value_as_it_was_given(project: Project, value: str) -> None:
    command = plan_of(project, f"--misbehaviour={value}").command
    assert command.count("${{") == 1  # the run folder's: no user's text is taken for a placeholder of AzureML
    words = command.partition(" innereye-runtime ")[2].replace("${{outputs.run}}", "/run")
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {words}"], cwd=project.root, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\0")[:-1] == [
        "--target=azureml",
        "--run-folder=innereye-runtime-run",
        "--stage-to=/run",
        f"--code-root={project.root}",
        "tiny.yaml",
        f"--misbehaviour={value}",
    ]


def test_processes_are_those_of_the_distribution(project: Project) -> None:
    for compute, nodes, processes in (("processes: 2", 1, 2), ("nodes: 2\n  processes: 3", 2, 3), ("gpus: 2", 1, 2)):
        plan = plan_of(project, manifest=MANIFEST.replace("compute:\n", f"compute:\n  {compute}\n"))
        data = job_data(plan)
        assert data["distribution"] == {"type": "pytorch", "process_count_per_instance": processes}
        assert data["resources"]["instance_count"] == nodes
    assert "distribution" not in job_data(plan_of(project))


def test_gpus_that_cant_be_counted_from_here_are_asked_for(project: Project) -> None:
    with pytest.raises(UsageError, match="the number of GPUs of a cluster node is not known here"):
        plan_of(project, manifest=MANIFEST.replace("compute:\n", "compute:\n  nodes: 2\n  gpus: all\n"))


def test_the_workspace_comes_from_manifest_environment_or_config(project: Project) -> None:
    config = project.write("config.json", '{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}')
    manifest = MANIFEST.replace("{cluster: cpu", "{resource_group: mine, cluster: cpu")
    found = plan_of(project, manifest=manifest, AZURE_SUBSCRIPTION_ID="from environment").workspace
    assert found.subscription_id == Setting(value="from environment", origin="AZURE_SUBSCRIPTION_ID")
    assert found.resource_group == Setting(value="mine", origin="manifest")
    assert found.workspace == Setting(value="w", origin=str(config))
    assert found.complete() == ("from environment", "mine", "w")


def test_a_config_of_another_program_is_none(project: Project) -> None:
    project.write("config.json", '{"colour": "red"}')
    assert plan_of(project).workspace.missing == ("subscription_id", "resource_group", "workspace")


def test_what_is_set_nowhere_is_named_with_the_places_for_it(project: Project) -> None:
    with pytest.raises(PreflightError) as caught:
        plan_of(project, AZURE_RESOURCE_GROUP="g", AZUREML_WORKSPACE_NAME="w").workspace.complete()
    assert "compute.azureml.subscription_id: set neither" in str(caught.value)
    assert "export AZUREML_ARM_SUBSCRIPTION" in caught.value.hint


def test_the_image_comes_from_the_environment_where_the_manifest_names_none(project: Project) -> None:
    manifest = MANIFEST.replace(f'image: "{IMAGE}", experiment', "experiment")
    assert plan_of(project, manifest=manifest).image is None
    assert plan_of(project, manifest=manifest, INNEREYE_AZUREML_IMAGE="registry/image:2").image == "registry/image:2"
    assert plan_of(project, INNEREYE_AZUREML_IMAGE="registry/image:2").image == IMAGE


def test_a_run_that_goes_on_has_its_old_place(project: Project) -> None:
    folder = project.root / "outputs" / "2026-11-24T101530Z_Tiny"
    plan = plan_for(job_of(project, run_folder=folder), {})
    assert plan.describe()["job"]["outputs"]["run"]["path"].endswith("/trials/2026-11-24T101530Z_Tiny")


def test_a_manifest_outside_of_the_code_goes_along(project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "tiny.yaml"
    elsewhere.write_text(MANIFEST)
    job = resolve_job(elsewhere, cwd=project.root, target="azureml", root=project.root)
    plan = plan_for(job, {})
    assert plan.command.endswith(" innereye-runtime-manifest.yaml")
    assert "class: Tiny" in plan.manifest_text


@pytest.mark.parametrize("run", ["2026-11-24T101530Z_Tiny", "_best of all", ".hidden", "zwölf", "x" * 255])
def test_the_name_of_a_job_is_one_that_azureml_takes(run: str) -> None:
    submission = new_submission(run)
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,254}", submission.name)
    assert submission.name.endswith(submission.token)


def test_planning_imports_nothing_of_azure(project: Project) -> None:
    code = """
import sys
from innereye_runtime.cli.main import main
main(["plan", "--target", "azureml", "tiny.yaml"])
print(sorted({name.split(".")[0] for name in sys.modules} & {"azure", "msal", "torch", "docker", "requests"}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_other_targets_ask_nothing_of_azure(project: Project) -> None:
    code = """
import sys
from innereye_runtime.targets.registry import get_target
get_target("process"), get_target("docker")
print(sorted(name for name in sys.modules if name.split(".")[0] == "azure" or ".azureml" in name))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_effective_manifest_says_what_the_command_line_said_once(project: Project) -> None:
    plan = plan_of(project, "--num_epochs=2")
    assert "num_epochs: 2" in plan.manifest_text
    assert "max_epochs" not in plan.manifest_text
    assert Path(plan.code, plan.manifest_place).is_file()


def test_ids_in_azures_own_words_become_inputs() -> None:
    long = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths/brats"
    places = {
        "azureml:scans:3": "azureml:scans:3",
        "scans@latest": "azureml:scans@latest",
        "https://imaging.blob.core.windows.net/atlases/t1": "wasbs://atlases@imaging.blob.core.windows.net/t1",
        long: long,
    }
    for id, path in places.items():
        assert _data_path(Dataset(id=id).id, "imaging") == path


def test_the_arguments_of_a_module_without_a_container_are_in_the_command(project: Project) -> None:
    manifest = """\
schema: 1
model: {class: tiny:Model, args: {width: 4, pause: 0}}
data: {class: tiny:Data}
dataset: {id: scans}
compute: {azureml: {cluster: cpu}}
"""
    plan = plan_of(project, "--model.width=8", manifest=manifest, INNEREYE_AZUREML_IMAGE=IMAGE)
    assert plan.model_name == "Model"
    assert shlex.split(plan.command)[-2:] == ["tiny.yaml", "--model.width=8"]
