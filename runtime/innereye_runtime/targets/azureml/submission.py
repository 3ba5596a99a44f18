"""Submitting a plan: once, whatever happens on the way to the service and back."""

from __future__ import annotations

import json
import re
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from innereye_runtime.errors import PreflightError, UsageError
from innereye_runtime.job import provenance
from innereye_runtime.job.launch_context import LaunchContext
from innereye_runtime.targets.azureml.assets import resolve_data_asset, resolve_input
from innereye_runtime.targets.azureml.command import LAUNCH
from innereye_runtime.targets.azureml.environment import build_context, ensure_environment
from innereye_runtime.targets.azureml.error_mapping import (
    UnreachableError,
    is_not_found,
    is_of_sign_in,
    map_azure_errors,
)
from innereye_runtime.targets.azureml.job_file import command_data, final_data, further_inputs
from innereye_runtime.targets.azureml.job_uri import JobUri
from innereye_runtime.targets.azureml.plan import AzureMLPlan
from innereye_runtime.targets.azureml.session import (
    TERMINAL_STATES,
    Session,
    import_sdk,
    state_of,
    suppress_azure_output,
)
from innereye_runtime.targets.azureml.snapshot import Snapshot
from innereye_runtime.targets.azureml.tags import RUN_TAG, SUBMISSION_TAG
from innereye_runtime.targets.azureml.weights import resolve_weights
from innereye_runtime.targets.azureml.workspace_api import ServiceJob

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job

TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """Everything of a job that is decided before the service is told of it. Sent twice, it is still one job."""

    name: str
    """Of the job; no other has it."""
    run: str
    """The run folder's name."""
    token: str
    """Tells this submission's job from one that took its name."""


def new_submission(run: str) -> Submission:
    token = secrets.token_hex(4)
    # In lower case, as the SDK would make it in silence: what is asked for later is what was sent.
    # It begins with a letter or a digit and has at most 255 characters, whatever a run folder is called by now.
    name = re.sub(r"[^a-z0-9_-]", "-", run.lower())[:240]
    return Submission(name=f"{name}-{token}".lstrip("_-"), run=run, token=token)


def ensure_not_running(session: Session, run: str) -> None:
    """Nothing for a run that may go on.

    Raises:
        PreflightError: the service can't be asked.
        UsageError: a job of this run isn't over; a second one would write over what it writes.
    """

    def running_jobs() -> list[ServiceJob]:
        tagged = session.api.jobs(tag=RUN_TAG)
        return [job for job in tagged if job.tags[RUN_TAG] == run and state_of(job) not in TERMINAL_STATES]

    for job in session.request("listing jobs", running_jobs):
        address = session.address(job.name)
        raise UsageError(
            f"the run is still active: job {job.name} is {state_of(job).lower()}",
            hint=f"innereye-run logs -f '{address}' shows it, innereye-run stop '{address}' ends it",
        )


def check(plan: AzureMLPlan) -> None:
    """Returns where Azure's SDK takes the job as planned; nothing is sent.

    Raises:
        UsageError: the SDK finds fault with it; names each field.
    """
    data = command_data(plan)
    if not plan.image:
        data["environment"] = {"image": "built-later"}
    try:
        _loaded(final_data(plan, data))
    except UsageError as error:
        if plan.own_fields:
            error.hint = "see compute.azureml.job; innereye-run plan shows the job"
        raise


def _faults(error: Exception) -> str:
    """Every field that the SDK names, in one line."""
    text = str(error).replace("\\n", "\n").replace('\\"', '"')
    found = re.search(r"Validation for (?:Command|Sweep)JobSchema failed:(.*?\n\})", text, re.S)
    return re.sub(r"\s+", " ", found[1] if found else text).strip()[:500]


def submit(
    session: Session,
    plan: AzureMLPlan,
    submission: Submission,
    snapshot: Snapshot,
    values: Mapping[str, str],
    *,
    tags: Mapping[str, str],
) -> JobUri:
    """The address of the job, which is now the service's. `values`: of the secrets; `tags`: beside those of the plan.

    Raises:
        DataError: a dataset is not in the workspace.
        PreflightError: the service says no, or can't be asked; the job is not submitted, or the message names it.
        UsageError: the SDK finds fault with the job.
    """
    data = command_data(plan, run=submission.run)
    for one in plan.inputs:
        data["inputs"][one.name]["path"] = resolve_data_asset(session, one, plan.datastore)
    for given in plan.weights:
        data["inputs"][given.input] |= resolve_weights(session, given)
    for name, further in further_inputs(plan).items():
        data["inputs"][name] |= resolve_input(session, further)
    if isinstance(data["environment"], str):
        data["environment"] = _environment(session, plan)
    in_what = data["environment"] if isinstance(data["environment"], str) else plan.image
    with tempfile.TemporaryDirectory(prefix="innereye-runtime-") as folder:
        code = Path(folder) / "code"
        code.mkdir()
        snapshot.copy_to(code)
        manifest = code / plan.manifest_place
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(plan.manifest_text, encoding="utf-8")
        launch = LaunchContext(
            code=provenance.code(plan.code),
            image={"reference": in_what, "digest": ""} if in_what else None,
            run="" if plan.sweep else submission.run,  # of trials, each has the name of its folder
        )
        launch.write(code / LAUNCH)
        if not in_what:
            context = build_context(Path(folder) / "context", plan.base)
            data["environment"] = {"build": {"path": str(context)}}
        data["code"] = str(code)
        data["name"] = submission.name
        data["tags"] |= {SUBMISSION_TAG: submission.token, RUN_TAG: submission.run, **tags}
        data["environment_variables"] = data.get("environment_variables", {}) | dict(values)
        send(session, _loaded(final_data(plan, data)), submission)
    return session.address(submission.name)


def _environment(session: Session, plan: AzureMLPlan) -> str:
    """The environment of the job with its version, registered where it is one with packages.

    Raises:
        PreflightError: the workspace has no such environment, or can't be asked.
    """
    if plan.packages is not None:
        return ensure_environment(session, plan.packages)
    return find_environment(session, str(plan.environment_name))


def find_environment(session: Session, reference: str) -> str:
    """The environment that the manifest names, with its version.

    Raises:
        PreflightError: the workspace has none of that name, or can't be asked.
    """
    name, _, rest = reference.removeprefix("azureml:").partition("@" if "@" in reference else ":")
    if name.startswith("//"):  # in a registry, which the service looks into
        return reference
    wanted = {"label": rest} if "@" in reference else {"version": rest}
    try:
        found = session.call(f"looking for environment {name}", lambda client: client.environments.get(name, **wanted))
    except PreflightError as error:
        if not is_not_found(error):
            raise
        raise PreflightError(
            f"workspace {session.workspace} has no environment {reference.removeprefix('azureml:')}",
            hint="az ml environment list shows those that are there",
        ) from error
    return f"azureml:{name}:{found.version}"


def _loaded(data: Mapping[str, Any]) -> Job:
    """The job of the SDK.

    Raises:
        UsageError: the SDK finds fault with it.
    """
    sdk = import_sdk()
    try:
        with map_azure_errors("reading the job"), suppress_azure_output():
            job: Job = sdk.load_job(StringIO(json.dumps(data)))
    except Exception as error:
        if type(error).__name__ != "ValidationError":  # of marshmallow, which is the SDK's own affair
            raise
        raise UsageError(f"reading the job: {_faults(error)}") from error
    return job


def send(session: Session, job: Job, submission: Submission) -> None:
    """Sends the job until the service has it. After a failure that leaves open whether it has, it is asked first."""
    from azure.core.exceptions import ResourceExistsError

    for number in range(1, TRIES + 1):
        try:
            with map_azure_errors("submitting the job"), suppress_azure_output():
                session.client.jobs.create_or_update(job)
            return
        except PreflightError as error:
            if is_of_sign_in(error.__cause__) and number == 1:
                session.refresh_credential()  # a token that had expired; what was refused for it was not done
                continue
            is_taken = isinstance(error.__cause__, ResourceExistsError)
            if not (is_taken or isinstance(error, UnreachableError)):
                raise
            if _is_there(session, submission):
                return
            if is_taken or number == TRIES:
                raise


def _is_there(session: Session, submission: Submission) -> bool:
    """True where the service has this submission's job.

    Raises:
        UnreachableError: it can't be asked; names the job, so that the user can.
    """
    try:
        found = session.job(submission.name)
    except UnreachableError as error:
        raise UnreachableError(
            f"{error}; it is unknown whether the job was submitted",
            hint=f"look for job {submission.name} in workspace {session.workspace} before you submit again",
        ) from error
    except PreflightError as error:
        if is_not_found(error):
            return False
        raise
    return found.tags.get(SUBMISSION_TAG) == submission.token


def cancel(session: Session, job: str, *, waits: bool = True) -> None:
    """Asks the service to end a job, and `waits` until it has.

    Raises:
        PreflightError: there is no such job, or the service can't be asked.
    """

    def request(client: MLClient) -> None:
        poller = client.jobs.begin_cancel(job)
        if waits:
            poller.result()

    session.call(f"cancelling job {job}", request)
