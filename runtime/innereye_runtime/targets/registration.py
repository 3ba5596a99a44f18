"""`outputs.register`: the model of a run that is complete, as a version in a registry of models; here MLflow's."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from innereye_runtime.errors import OutputError
from innereye_runtime.manifest.model import Registration
from innereye_runtime.run.paths import RunPaths

RUN = "innereye-runtime.run"
"""The property that names the run: a run is registered once under one name."""
VARIABLES = ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI")
_LONGEST = 5000
"""Characters of a value. Source: https://mlflow.org/docs/latest/api_reference/rest-api.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """What a registry gets of a run's model."""

    name: str
    checkpoint: str
    """Its place in the run folder."""
    description: str
    tags: Mapping[str, str]
    properties: Mapping[str, str]
    """Of the run: its name, metrics, manifest and digests."""


def model_of(folder: Path, registration: Registration) -> ModelVersion:
    """The model of the run in `folder`, by its run.json and its outputs.json.

    Raises:
        OutputError: they can't be read, or the run has no checkpoint.
    """
    paths = RunPaths(folder)
    try:
        record = json.loads(paths.run_json.read_bytes())
        listed = paths.outputs_json.read_bytes()
        digests = {entry["path"]: entry["sha256"] for entry in json.loads(listed)["files"]}
    except (OSError, ValueError, KeyError) as error:
        raise OutputError(f"the model of {folder.name} can't be registered: the run is not complete") from error
    checkpoints = record.get("checkpoints", {})
    chosen = checkpoints.get("best") or checkpoints.get("last")
    if not chosen or chosen.get("path") not in digests:
        raise OutputError(
            f"the run {folder.name} has no checkpoint that could be registered as model {registration.name}",
            hint="delete outputs.register for a run that does not train",
        )
    return ModelVersion(
        name=registration.name,
        checkpoint=chosen["path"],
        description=registration.description,
        tags=registration.tags,
        properties=_properties(record, chosen, digests, hashlib.sha256(listed).hexdigest()),
    )


def _properties(
    record: Mapping[str, Any], chosen: Mapping[str, Any], digests: Mapping[str, str], outputs: str
) -> dict[str, str]:
    manifest = json.dumps(record["manifest"])
    found = {
        RUN: record["id"],
        "model": record["model"],
        "checkpoint_sha256": digests[chosen["path"]],
        "weights_sha256": chosen.get("weights_sha256"),
        "outputs_sha256": outputs,
        "manifest_sha256": digests.get("manifest.yaml"),
        "manifest": manifest if len(manifest) <= _LONGEST else None,
        "commit": record.get("code", {}).get("commit"),
    }
    for split in record.get("metrics", {}).values():
        found |= {f"metric.{name}": value for name, value in split.items()}
    return {name: str(value) for name, value in found.items() if value is not None}


def has_mlflow_registry() -> bool:
    """Whether the environment names one."""
    return any(os.environ.get(name) for name in VARIABLES)


def register_in_mlflow(folder: Path, registration: Registration) -> str:
    """The name and version of the model in MLflow's registry; that of an earlier call for the same run is used again.

    Raises:
        OutputError: it can't be registered; the run itself stays as it is.
    """
    model = model_of(folder, registration)
    if find_spec("mlflow") is None:
        raise OutputError(
            f"model {model.name} is not registered: the package mlflow is not installed",
            hint="pip install 'innereye-runtime[mlflow]'",
        )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        client = MlflowClient()
        if not client.search_registered_models(filter_string=f"name='{model.name}'"):
            client.create_registered_model(model.name)
        for known in client.search_model_versions(f"name='{model.name}'"):
            if known.tags.get(RUN) == model.properties[RUN] and known.source == str(folder / model.checkpoint):
                return f"{model.name}:{known.version}"
        made = client.create_model_version(
            model.name,
            source=str(folder / model.checkpoint),
            description=model.description or None,
            tags={**model.properties, **model.tags},
        )
    except (MlflowException, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise OutputError(
            f"model {model.name} is not registered: {reason}",
            hint=f"check {' and '.join(VARIABLES)}; 'innereye-run resume {folder}' tries again",
        ) from error
    return f"{model.name}:{made.version}"
