"""Which workspace a job goes to: what the manifest says, else the environment, else the workspace's config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.manifest.model import AzureMLSettings

KEYS = ("subscription_id", "resource_group", "workspace")
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "subscription_id": ("AZUREML_ARM_SUBSCRIPTION", "AZURE_SUBSCRIPTION_ID"),
    "resource_group": ("AZUREML_ARM_RESOURCEGROUP", "AZURE_RESOURCE_GROUP"),
    "workspace": ("AZUREML_ARM_WORKSPACE_NAME", "AZUREML_WORKSPACE_NAME"),
}
"""The variables that AzureML sets in a job, then those of the Azure command line's users."""
CONFIG_FILES = ("config.json", ".azureml/config.json")
_CONFIG_KEYS = {"workspace": "workspace_name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    value: str
    origin: str
    """`manifest`, the name of a variable, or the path of a config.json."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSettings:
    """None: found nowhere."""

    subscription_id: Setting | None = None
    resource_group: Setting | None = None
    workspace: Setting | None = None

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
            keys = ", ".join(f"compute.azureml.{key}" for key in missing)
            variables = ", ".join(VARIABLES[key][0] for key in missing)
            raise PreflightError(
                f"{keys}: set neither in the manifest, nor in the environment, nor in a config.json",
                hint=f"set them in the manifest, export {variables}, or put the workspace's config.json (from "
                "Azure Machine Learning studio) beside the code",
            )
        assert self.subscription_id and self.resource_group and self.workspace
        return self.subscription_id.value, self.resource_group.value, self.workspace.value


def find_workspace(given: AzureMLSettings, environment: Mapping[str, str], start: Path) -> WorkspaceSettings:
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
    return WorkspaceSettings(**found)


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
