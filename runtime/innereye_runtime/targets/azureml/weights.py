"""The weights that `src_checkpoint` and `model_id` name, as inputs of the job: a file of this machine, the checkpoint
of an earlier job, a registered model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import urlsplit

from innereye_runtime.errors import DataError, InnerEyeError, UsageError
from innereye_runtime.job.resolve import Job
from innereye_runtime.run.staged_store import INDEXES
from innereye_runtime.run.stager import CHECKPOINTS
from innereye_runtime.targets.azureml.blob_prefix import BlobPrefix
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.job_file import OUTPUT, folder_path
from innereye_runtime.targets.azureml.local_files import local_checkpoint
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.transfer import read_indexes
from innereye_runtime.targets.azureml.trials import is_sweep

PREFIX = "given_"
"""Of the inputs' names."""
BEST = "best.ckpt"
_MODEL = re.compile(r"azureml:(?P<name>[A-Za-z0-9][\w.-]*)(?P<version>[:@][\w.-]+)")
_JOB = re.compile(
    r"(?!azureml:(?!//))(?:azureml://(?:subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)/workspaces/(?P<workspace>[^/]+)/)?jobs/)?"
    r"(?P<job>[A-Za-z0-9][\w-]*)(?P<file>:[^:/][^:]*)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWeights:
    """One input of the job."""

    parameter: str
    kind: Literal["file", "job", "model"]
    source: str
    """The path of a file here; the name of a job; NAME:VERSION or NAME@LABEL of a model."""
    file: str = ""
    """Of the job, below its checkpoints."""
    workspace: tuple[str, str, str] | None = None
    """That the job's address names: subscription, resource group, workspace."""

    @property
    def input(self) -> str:
        """Its name."""
        return f"{PREFIX}{self.parameter}"

    def as_planned(self) -> dict[str, str]:
        """The input in the words of the job file, as far as this machine can tell."""
        match self.kind:
            case "file":
                path = self.source
            case "job":
                path = f"azureml://jobs/{self.source}/outputs/{OUTPUT}/paths/{CHECKPOINTS}{self.file}"
            case "model":
                path = f"azureml:{self.source}"
        return {"type": "custom_model" if self.kind == "model" else "uri_file", "path": path, "mode": "download"}


def weights_of(job: Job) -> tuple[GivenWeights, ...]:
    """What the job's parameters name. Reads files of this machine only.

    Raises:
        UsageError: one names nothing that the job can get.
    """
    return tuple(_named(job))


def _named(job: Job) -> Iterator[GivenWeights]:
    if (argument := job.arguments.get("model_id")) is not None and isinstance(argument.value, str) and argument.value:
        yield GivenWeights(parameter="model_id", kind="model", source=argument.value)
    argument = job.arguments.get("src_checkpoint")
    if argument is None or not isinstance(argument.value, str) or not argument.value:
        return
    source = argument.value
    if urlsplit(source).scheme in ("http", "https"):
        return
    local = job.cwd / local_checkpoint(job.cwd, source)
    if local.is_file():
        yield GivenWeights(parameter="src_checkpoint", kind="file", source=str(local.resolve()))
    elif _MODEL.fullmatch(source):
        yield GivenWeights(parameter="src_checkpoint", kind="model", source=source.removeprefix("azureml:"))
    elif found := _JOB.fullmatch(source):
        workspace = (found["subscription"], found["group"], found["workspace"]) if found["workspace"] else None
        file = (found["file"] or f":{BEST}")[1:]
        yield GivenWeights(parameter="src_checkpoint", kind="job", source=found["job"], file=file, workspace=workspace)
    elif job.run_folder is None or job.restart:  # one that is resumed has checkpoints of its own
        raise UsageError(
            f"src_checkpoint: '{source}' is neither a file nor a run here, nor a job or a model of the workspace",
            hint="name the path of a checkpoint, RUN:best.ckpt, a job as azureml://jobs/NAME, or a model as "
            "azureml:NAME:VERSION",
        )


def resolve_weights(session: Session, one: GivenWeights) -> dict[str, str]:
    """The input in the words of the job file, found in the workspace.

    Raises:
        DataError: it is not there.
        PreflightError: the workspace can't be asked.
    """
    match one.kind:
        case "file":
            return one.as_planned()
        case "model":
            return {**one.as_planned(), **_model(session, one)}
        case "job":
            return {**one.as_planned(), "path": _checkpoint(session, one)}


def _model(session: Session, one: GivenWeights) -> dict[str, str]:
    name, label, version = re.split(r"([:@])", one.source, maxsplit=1)
    wanted = {"version" if label == ":" else "label": version}
    try:
        found = session.call(f"looking for model {name}", lambda client: client.models.get(name, **wanted))
    except InnerEyeError as error:
        if not is_not_found(error):
            raise
        raise DataError(
            f"{one.parameter}: workspace {session.workspace} has no model {one.source}",
            hint="az ml model list shows those that are there",
        ) from error
    kind = str(found.type)
    return {"type": kind if kind.endswith("_model") else "custom_model", "path": f"azureml:{name}:{found.version}"}


def _checkpoint(session: Session, one: GivenWeights) -> str:
    """The place of a job's checkpoint in its datastore."""
    own = (session.subscription_id, session.resource_group, session.workspace)
    if one.workspace not in (None, own):
        _refuse(one, f"is in another workspace than the job, which is for {session.workspace}")
    try:
        job = session.job(one.source)
    except InnerEyeError as error:
        if not is_not_found(error):
            raise
        raise DataError(
            f"{one.parameter}: workspace {session.workspace} has no job {one.source}",
            hint="innereye-run ps and az ml job list show those that are there",
        ) from error
    uri = job.outputs.get(OUTPUT)
    if not uri or is_sweep(job):
        _refuse(one, "is a sweep" if is_sweep(job) else "was not submitted by innereye-run")
    place, wanted = BlobPrefix.parse(uri), f"{CHECKPOINTS}{one.file}"
    prefix = f"{place.path}/"
    there = session.request(
        "looking for checkpoints",
        lambda: {blob.name.removeprefix(prefix) for blob in session.blobs(place.datastore).list(prefix)},
    )
    indexes = read_indexes(session, place, [name for name in INDEXES if name in there])
    staged = indexes[0].files if indexes else {}
    at = staged[wanted].place(wanted) if wanted in staged else wanted
    if at not in there:
        known = sorted({name.removeprefix(CHECKPOINTS) for name in {*there, *staged} if name.startswith(CHECKPOINTS)})
        _refuse(one, f"has no checkpoint {one.file}", f"it has {', '.join(known)}" if known else "")
    return folder_path(f"{prefix}{at}", place.datastore)


def _refuse(one: GivenWeights, reason: str, hint: str = "") -> NoReturn:
    raise DataError(
        f"{one.parameter}: job {one.source} {reason}",
        hint=hint or "innereye-run download downloads it; name the path of a checkpoint then",
    )
