"""Rules for `outputs.folder` where it is a URL: which ones run folders can be copied to, and by which targets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.manifest.dataset_ids import canonical, is_remote
from innereye_runtime.manifest.yaml.document import Document

_URL = re.compile(r"[A-Za-z][\w+.-]*://")
_BLOBS = re.compile(r"azure://[a-z0-9]{3,24}/\$?[a-z0-9-]{3,63}(?:/[^?#\\]*)?")
_FORM = "azure://ACCOUNT/CONTAINER/PATH"
_TARGETS = ("process", "docker", "slurm")


def check_outputs_folder(document: Document, value: Mapping[str, Any], target: Any) -> Iterator[Diagnostic]:
    """What is wrong with a URL as `outputs.folder`."""
    outputs = value.get("outputs")
    folder = outputs.get("folder") if isinstance(outputs, Mapping) else None
    if not isinstance(folder, str) or not _URL.match(folder):
        return
    span = document.span(("outputs", "folder"))
    if (problem := _problem_of(folder, target)) is not None:
        message, hint = problem
        yield document.diagnostic("E213", span, message, hint=hint)
        return
    for key in ("sweep", "cross_validation"):
        if value.get(key) or (key == "cross_validation" and key in value):
            message = f"the run folders of '{key}' can't be copied to '{quote(folder)}'"
            hint = "write the path of a folder of this machine, or start each run by itself"
            yield document.diagnostic("E224", span, message, hint=hint)


def _problem_of(folder: str, target: Any) -> tuple[str, str] | None:
    bare, query, _ = folder.partition("?")
    if query and is_remote(bare):
        return (
            f"'{quote(bare)}?...' has a query, which may hold a signature",
            f"write '{quote(canonical(bare))}', and give the token in AZURE_STORAGE_SAS_TOKEN",
        )
    if target == "azureml":
        return (
            f"'{quote(folder)}' is a URL, and 'folder' is a folder of this machine",
            "write the path of a folder; target azureml has run folders in the datastore that 'compute.azureml' names",
        )
    if not is_remote(folder):
        return (
            f"run folders can't be copied to '{quote(bare)}'",
            f"write {_FORM} for a folder of blobs, or the path of a folder of this machine",
        )
    if not _BLOBS.fullmatch(canonical(folder)) or ".." in folder.split("/"):
        return f"'{quote(folder)}' is not a folder of blobs", f"write {_FORM}, with the names that Azure has"
    if target not in _TARGETS:
        return (
            f"target {quote(str(target))} does not copy run folders to a URL",
            f"write the path of a folder, or use one of the targets {', '.join(_TARGETS)}",
        )
    return None
