"""Which workspace and cluster a job goes to: what the manifest says, else the environment, else the workspace's
config.json, else a settings.yml of the InnerEye toolbox, else the user's own file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.manifest.model import AzureMLSettings
from innereye_runtime.targets.azureml.defaults import find_default, user_file

KEYS = ("subscription_id", "resource_group", "workspace")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "subscription_id": ("AZUREML_ARM_SUBSCRIPTION", "AZURE_SUBSCRIPTION_ID"),
    "resource_group": ("AZUREML_ARM_RESOURCEGROUP", "AZURE_RESOURCE_GROUP"),
    "workspace": ("AZUREML_ARM_WORKSPACE_NAME", "AZUREML_WORKSPACE_NAME"),
}
"""The variables that AzureML sets in a job, then those of the Azure command line's users."""
CLUSTER_VARIABLE = "INNEREYE_AZUREML_CLUSTER"
OPTIONS: Mapping[str, str] = {
    "subscription_id": "--subscription_id",
    "resource_group": "--resource_group",
    "workspace": "--workspace_name",
}
"""Of the old command line."""
CONFIG_FILES = ("config.json", ".azureml/config.json")
_CONFIG_KEYS = {"workspace": "workspace_name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    value: str
    origin: str
    """`manifest`, the name of a variable, or the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """None: found nowhere."""

    subscription_id: Setting | None = None
    resource_group: Setting | None = None
    workspace: Setting | None = None
    has_manifest: bool = True
    """False: the user wrote none, so that what is missing is an option of the old command line."""

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(key for key in KEYS if getattr(self, key) is None)

    def complete(self) -> tuple[str, str, str]:
        """Subscription, resource group, workspace.

        Raises:
            PreflightError: one is set nowhere; with all the places where it could be.
        """
        missing = self.missing
        if missing:
            names = ", ".join(f"compute.azureml.{key}" if self.has_manifest else OPTIONS[key] for key in missing)
            variables = ", ".join(VARIABLES[key][0] for key in missing)
            where = "in the manifest" if self.has_manifest else "on the command line"
            what = "set them in the manifest" if self.has_manifest else "add them to the command line, as --NAME=VALUE"
            raise PreflightError(
                f"{names}: set neither {where}, nor in the environment, nor in a config.json",
                hint=f"{what}, export {variables}, or put the workspace's config.json (from "
                "Azure Machine Learning studio) beside the code",
            )
        assert self.subscription_id and self.resource_group and self.workspace
        return self.subscription_id.value, self.resource_group.value, self.workspace.value


def default_cluster(environment: Mapping[str, str], start: Path) -> str:
    """The compute cluster for a job whose command line names none.

    Raises:
        UsageError: there is no default; with all the places where it could stand. Or a file can't be read.
    """
    if environment.get(CLUSTER_VARIABLE):
        return environment[CLUSTER_VARIABLE]
    if found := find_default("cluster", environment, start):
        return found[0]
    file = user_file(environment)
    own_file = f", or write 'azureml: {{cluster: NAME}}' into {file}" if file else ""
    raise UsageError(
        "no cluster is named for --azureml",
        hint=f"add --cluster=NAME, the compute cluster of the workspace that runs the job; "
        f"or export {CLUSTER_VARIABLE}{own_file}",
    )


def find_workspace(
    given: AzureMLSettings, environment: Mapping[str, str], start: Path, *, has_manifest: bool = True
) -> WorkspaceSettings:
    """The settings, each from the first place that has it. A config.json counts from `start` or the nearest folder
    above.

    Raises:
        UsageError: the config.json can't be read.
    """
    config_path, config = _config(start)
    found: dict[str, Setting] = {}
    for key in KEYS:
        value = getattr(given, key)
        if value:
            found[key] = Setting(value=value, origin="manifest")
            continue
        variable = next((name for name in VARIABLES[key] if environment.get(name)), None)
        if variable is not None:
            found[key] = Setting(value=environment[variable], origin=variable)
        elif config.get(_CONFIG_KEYS.get(key, key)):
            found[key] = Setting(value=str(config[_CONFIG_KEYS.get(key, key)]), origin=str(config_path))
        elif default := find_default(key, environment, start):
            found[key] = Setting(value=default[0], origin=str(default[1]))
    return WorkspaceSettings(**found, has_manifest=has_manifest)


def _config(start: Path) -> tuple[Path | None, Mapping[str, object]]:
    for folder in (start, *start.parents):
        for name in CONFIG_FILES:
            path = folder / name
            if not path.is_file():
                continue
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise UsageError(
                    f"{path} can't be read: {error}",
                    hint="put the workspace's own there, from its page in the studio, or take the file away",
                ) from error
            # Other programs have a config.json too.
            if isinstance(content, dict) and "workspace_name" in content:
                return path, content
    return None, {}
