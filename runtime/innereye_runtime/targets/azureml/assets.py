"""The datasets of a job: the manifest's ids, found in the workspace."""

from __future__ import annotations

from collections.abc import Mapping

from innereye_runtime.errors import DataError, InnerEyeError
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.job_file import folder_path
from innereye_runtime.targets.azureml.plan import Input
from innereye_runtime.targets.azureml.session import Session


def resolve_data_asset(session: Session, wanted: Input, datastore: str) -> str:
    """What a job has as the path of an input: the URL of a folder of blobs, a data asset with its version, else a
    folder of the datastore.

    A job that says `@latest` is looked up by the SDK under a name that isn't there, so the newest version is found
    here.

    Raises:
        DataError: there is neither asset nor folder.
        PreflightError: the workspace can't be asked.
    """
    if wanted.path.startswith("wasbs:") or wanted.id.startswith("azureml://"):
        return wanted.path  # in a storage account that the workspace need not know: only the job finds out
    is_asset = not wanted.path.startswith("azureml://")
    name, separator, version = wanted.id.partition(":")
    if is_asset:
        try:
            if separator:
                doing = f"looking for data asset {wanted.id}"
                session.call(doing, lambda client: client.data.get(name, version=version))
                return wanted.path
            found = session.call(f"looking for data asset {name}", lambda client: client.data.get(name, label="latest"))
            return f"azureml:{name}:{found.version}"
        except InnerEyeError as error:
            if not is_not_found(error):
                raise
    is_folder = not (is_asset and separator)
    if is_folder and _holds_anything(session, wanted.id, datastore):
        return folder_path(wanted.id, datastore)
    places = [f"data asset {wanted.id}"] * is_asset + [f"folder {wanted.id} in {datastore}"] * is_folder
    raise DataError(
        f"dataset {wanted.id}: workspace {session.workspace} has no {' and no '.join(places)}",
        hint=f"az ml data create --name {name.rpartition('/')[2]} --type uri_folder --path FOLDER",
    )


def _holds_anything(session: Session, folder: str, datastore: str) -> bool:
    prefix = f"{folder.strip('/')}/"
    doing = f"looking for folder {folder} in {datastore}"
    return session.request(doing, lambda: next(session.blobs(datastore).list(prefix, most=1), None)) is not None


def resolve_input(session: Session, one: Mapping[str, str]) -> dict[str, str]:
    """A further input of a job with the version that its path's label stands for now.

    Raises:
        DataError: the workspace has no such asset.
        PreflightError: the workspace can't be asked.
    """
    name, separator, label = one["path"].removeprefix("azureml:").partition("@")
    if not separator or one["path"].startswith("azureml://"):
        return dict(one)
    is_model = one["type"].endswith("_model")
    kind = "model" if is_model else "data asset"
    try:
        found = session.call(
            f"looking for {kind} {name}",
            lambda client: (client.models if is_model else client.data).get(name, label=label),
        )
    except InnerEyeError as error:
        if not is_not_found(error):
            raise
        raise DataError(
            f"workspace {session.workspace} has no {kind} {name}@{label}",
            hint=f"az ml {'model' if is_model else 'data'} list shows those that are there",
        ) from error
    return {**one, "path": f"azureml:{name}:{found.version}"}
