"""`outputs.register` in Azure Machine Learning: the model of a run that is complete, among the workspace's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import OutputError, PreflightError
from innereye_runtime.manifest.model import Registration
from innereye_runtime.run.paths import RunPaths
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.job_file import folder_path
from innereye_runtime.targets.azureml.log_stream import log_status
from innereye_runtime.targets.azureml.session import Session, suppress_azure_output

if TYPE_CHECKING:
    from innereye_runtime.targets.registration import ModelVersion


def register_run(session: Session, job: str, place: BlobPrefix, folder: Path) -> None:
    """Registers the model of a run where its manifest asks for that; `folder` has its run.json and its outputs.json,
    and its checkpoint stays at `place`. Once, whoever asks how often.

    Raises:
        OutputError: it can't be registered; the run itself stays as it is.
    """
    try:
        record = json.loads(RunPaths(folder).run_json.read_bytes())
    except (OSError, ValueError):
        return
    wanted = record.get("manifest", {}).get("outputs", {}).get("register")
    if not wanted or record.get("smoke"):
        return
    from innereye_runtime.targets.registration import model_of

    model = model_of(folder, Registration(**wanted))
    try:
        version = _known_version(session, model)
        if version is None:
            version = _create(session, job, f"{place.path}/{model.checkpoint}", place.datastore, model)
    except PreflightError as error:
        raise OutputError(
            f"model {model.name} is not registered: {error}",
            hint=f"the run is complete; 'innereye-run download {session.address(job)}' tries again",
        ) from error
    log_status(f"model {model.name}:{version} is that of {folder.name}")


def _known_version(session: Session, model: ModelVersion) -> str | None:
    """The version of the model that is this run's, if there is one."""
    from innereye_runtime.targets.registration import RUN

    name, run = model.name, model.properties[RUN]

    def find(client: Any) -> str | None:
        return next((str(one.version) for one in client.models.list(name) if one.properties.get(RUN) == run), None)

    try:
        return session.call(f"looking for model {name}", find)
    except PreflightError as error:
        if is_not_found(error):
            return None
        raise


def _create(session: Session, job: str, path: str, datastore: str, model: Any) -> str:
    from azure.ai.ml.entities import Model

    asset = Model(
        name=model.name,
        path=folder_path(path, datastore),
        type="custom_model",
        description=model.description or None,
        tags=dict(model.tags),
        properties={**model.properties, "innereye-runtime.job": job},
    )

    def create(client: Any) -> str:
        with suppress_azure_output():
            return str(client.models.create_or_update(asset).version)

    return session.call(f"registering model {model.name}", create)
