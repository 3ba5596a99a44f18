"""The datasets of a job: the manifest's ids, found in the workspace."""

from __future__ import annotations

from innereye_runtime.errors import DataError, InnerEyeError
from innereye_runtime.targets.azureml.plan import DATASTORE, Input
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.translation import is_not_found


def find_asset(session: Session, wanted: Input) -> str:
    """What a job has as the path of an input: a data asset with its version, else a folder of the datastore.

    A job that says `@latest` is looked up by the SDK under a name that isn't there, so the newest version is found
    here.

    Raises:
        DataError: there is neither.
        PreflightError: the workspace can't be asked.
    """
    name, separator, version = wanted.asset.partition(":")
    try:
        if separator:
            session.ask(f"looking for data asset {wanted.asset}", lambda client: client.data.get(name, version=version))
            return f"azureml:{name}:{version}"
        found = session.ask(f"looking for data asset {name}", lambda client: client.data.get(name, label="latest"))
        return f"azureml:{name}:{found.version}"
    except InnerEyeError as error:
        if not is_not_found(error):
            raise
    if not separator and _holds_anything(session, name):
        return f"azureml://datastores/{DATASTORE}/paths/{name.strip('/')}/"
    places = f"no data asset {wanted.asset}" + ("" if separator else f" and no folder {name} in {DATASTORE}")
    raise DataError(
        f"dataset {wanted.asset}: workspace {session.workspace} has {places}",
        hint=f"az ml data create --name {name} --type uri_folder --path FOLDER",
    )


def _holds_anything(session: Session, folder: str) -> bool:
    container = session.container(DATASTORE)
    prefix = f"{folder.strip('/')}/"
    doing = f"looking for folder {folder} in {DATASTORE}"
    return (
        session.ask(doing, lambda client: next(iter(container.list_blob_names(name_starts_with=prefix)), None))
        is not None
    )
