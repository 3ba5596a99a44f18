"""The ids of datasets, in the words of this program, of Azure Machine Learning and of Azure's storage."""

from __future__ import annotations

import re
from typing import Final

_STORES: Final = (
    re.compile(
        r"(?:wasbs?|abfss?)://(?P<container>[^@/]+)@(?P<account>[^./@]+)\.(?:blob|dfs)\.core\.windows\.net"
        r"(?:/(?P<path>[^?]*))?"
    ),
    re.compile(
        r"https://(?P<account>[^./@]+)\.(?:blob|dfs)\.core\.windows\.net/(?P<container>[^/?]+)(?:/(?P<path>[^?]*))?"
    ),
)
_ASSET: Final = re.compile(r"(?:azureml:(?!//))?(?P<name>[^:@/]+)(?:@(?P<label>[^:@/]*)|:(?P<version>[^:@/]*))?")
_SCHEME: Final = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://")
_PLACE: Final = (
    r"azureml://(?:subscriptions/[^/]+/resource[gG]roups/[^/]+/(?:providers/[^/]+/)?workspaces/[^/]+/)?"
    r"(?:datastores/[^/]+/paths/.*|data/[^/]+/(?:versions/[^/]+|labels/latest))"
    r"|azureml://(?:locations/[^/]+/workspaces|registries)/[^/]+/data/[^/]+/(?:versions/[^/]+|labels/latest)"
)


def canonical(id: str) -> str:
    """`id` as the rest of the program has it: azure://ACCOUNT/CONTAINER/PATH for a folder of blobs, NAME or
    NAME:VERSION for a data asset. What `problem_of` refuses stays as it is."""
    for pattern in _STORES:
        if match := pattern.fullmatch(id):
            path = (match["path"] or "").strip("/")
            return f"azure://{match['account']}/{match['container']}" + (f"/{path}" if path else "")
    asset = _ASSET.fullmatch(id)
    if asset is None or asset["label"] not in (None, "latest") or asset["version"] == "":
        return id
    return f"{asset['name']}:{asset['version']}" if asset["version"] else asset["name"]


def is_remote(text: str) -> bool:
    """Whether `text` names a folder of blobs, in one of the forms that `canonical` knows."""
    return canonical(text).startswith("azure://")


def problem_of(id: str) -> tuple[str, str] | None:
    """What is wrong with an id, and the remedy; None where it can be understood."""
    id = canonical(id)
    scheme = _SCHEME.match(id)
    if scheme is None:
        return _problem_of_asset(id)
    name = scheme["scheme"].lower()
    if name == "azureml":
        if re.fullmatch(_PLACE, id):
            return None
        return f"'{id}' names neither a folder of a datastore nor a data asset", (
            "write azureml://datastores/NAME/paths/FOLDER, or the asset as NAME:VERSION"
        )
    if name == "azure":
        return None  # its parts are looked at where they are used
    bare, query, _ = id.partition("?")
    if query and canonical(bare).startswith("azure://"):
        return f"'{bare}?...' has a query, which may hold a signature", (
            f"write '{canonical(bare)}', and give the token in AZURE_STORAGE_SAS_TOKEN"
        )
    return f"'{bare}' is not a place that datasets are read from", (
        "write azure://ACCOUNT/CONTAINER/PATH for blobs, NAME:VERSION for a data asset, or download it and set 'local'"
    )


def _problem_of_asset(id: str) -> tuple[str, str] | None:
    name, at, _ = id.partition("@")
    if at and ":" not in name and "/" not in id:
        return f"'{id}' has a label other than latest", f"write '{name}@latest', or a version: '{name}:1'"
    if id.startswith("azureml:"):
        return f"'{id}' is not the id of a data asset", "write NAME, NAME:VERSION or NAME@latest"
    return None
