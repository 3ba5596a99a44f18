"""A plan as the job file that `az ml job create --file` takes; submitting sends the very same."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import TYPE_CHECKING, Any

from innereye_runtime.targets.azureml.own_fields import merge
from innereye_runtime.targets.azureml.sweep_job import as_sweep_job

if TYPE_CHECKING:
    from innereye_runtime.manifest.model import AzureMLSettings
    from innereye_runtime.targets.azureml.plan import AzureMLPlan

OUTPUT = "run"
"""The name of the job's output that is the run folder."""
RUN_PLACEHOLDER = "<UTC start>_{model}"

SCHEMA = "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json"
IDENTITIES: Mapping[str, str] = {"token": "aml_token", "managed": "managed", "user": "user_identity"}
"""The manifest's words, and those of the file."""
BUILT = "built from this project when the job is submitted"


def job_data(plan: AzureMLPlan) -> dict[str, Any]:
    """The job in the words of the file: a command, or a sweep of commands."""
    return final_data(plan, command_data(plan))


def final_data(plan: AzureMLPlan, data: Mapping[str, Any]) -> dict[str, Any]:
    """The command job `data` as the job that the plan is of."""
    return dict(data) if plan.sweep is None else as_sweep_job(data, plan.sweep)


def command_data(plan: AzureMLPlan, *, run: str | None = None) -> dict[str, Any]:
    """The command job, or that of each trial, in the words of the file. `run`: the run's name, once it has one."""
    name = run or (plan.run_folder.name if plan.run_folder else RUN_PLACEHOLDER.format(model=plan.model_name))
    data: dict[str, Any] = {
        "$schema": SCHEMA,
        "type": "command",
        "display_name": plan.display_name,
        "experiment_name": plan.experiment,
        "compute": f"azureml:{plan.cluster}" if plan.cluster else None,
        "environment": _environment(plan),
        "code": str(plan.code),
        "command": plan.command,
        "identity": _identity(plan.settings),
        "inputs": {
            **{one.name: {"type": "uri_folder", "path": one.path, "mode": one.mode} for one in plan.inputs},
            **{one.input: one.as_planned() for one in plan.weights},
            **further_inputs(plan),
        },
        "outputs": {
            OUTPUT: {
                "type": "uri_folder",
                "path": folder_path(f"{plan.location}/{name}", plan.datastore),
                "mode": "rw_mount",
            },
            **{name: {"type": "uri_folder", **one} for name, one in plan.settings.outputs.items()},
        },
        "services": dict(plan.settings.services),
        "resources": {
            "instance_count": plan.nodes,
            "instance_type": plan.instance_type,
            "shm_size": plan.shm_size,
        },
        "queue_settings": {"job_tier": plan.job_tier},
        "distribution": None,
        "limits": {"timeout": plan.max_seconds},
        "environment_variables": dict(plan.environment),
        "tags": dict(plan.tags),
    }
    if plan.nodes * plan.processes > 1:
        data["distribution"] = {"type": "pytorch", "process_count_per_instance": plan.processes}
    return merge(_without_unset(data), plan.own_fields)


def _identity(settings: AzureMLSettings) -> dict[str, Any] | None:
    """None: AzureML's choice."""
    return {"type": IDENTITIES[settings.identity], "client_id": settings.client_id} if settings.identity else None


def further_inputs(plan: AzureMLPlan) -> dict[str, dict[str, str]]:
    """Those beside the datasets."""
    return {name: {"type": "uri_folder", **one} for name, one in plan.settings.inputs.items()}


def _environment(plan: AzureMLPlan) -> str | dict[str, Any]:
    """What the job runs in: the first that there is of an environment, and an image."""
    if plan.environment_name:
        return plan.environment_name
    if plan.packages:
        return f"azureml:{plan.packages.name}:{plan.packages.version}"
    return {"image": plan.image} if plan.image else {"build": {"path": BUILT}}


def job_text(plan: AzureMLPlan) -> str:
    """The file's text, with what has to be known before it is sent by hand."""
    from ruamel.yaml import YAML

    data = job_data(plan)
    output = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    yaml.dump(data, output)
    return "".join(f"# {line}\n" for line in _remarks(plan)) + output.getvalue()


def folder_path(folder: str, datastore: str) -> str:
    """The reference to a folder of a datastore."""
    return f"azureml://datastores/{datastore}/paths/{folder.strip('/')}"


def _remarks(plan: AzureMLPlan) -> list[str]:
    workspace = plan.workspace
    settings = (workspace.subscription_id, workspace.resource_group, workspace.workspace)
    subscription, group, name = (setting.value if setting else "<not set>" for setting in settings)
    lines = [
        f"az ml job create --file THIS --subscription {subscription} --resource-group {group} --workspace-name {name}"
    ]
    if plan.run_folder is None:
        lines.append("innereye-run puts the start of the run for <UTC start>; by hand, put any name")
    if plan.packages:
        lines.append(f"innereye-run registers environment {plan.packages.name} where the workspace does not have it")
    elif not plan.image and not plan.environment_name:
        lines.append("without compute.azureml.image, innereye-run builds the environment from this project")
    if plan.secrets:
        lines.append(f"innereye-run adds from its environment: {', '.join(plan.secrets)}")
    return lines


def _without_unset(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, and without sections that are empty then."""
    result = {}
    for key, value in data.items():
        kept = _without_unset(value) if isinstance(value, Mapping) else value
        if kept is not None and kept != {}:
            result[key] = kept
    return result
