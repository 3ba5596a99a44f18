"""What `innereye-run doctor` asks a workspace, so that a job is not queued in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from innereye_runtime.errors import InnerEyeError, PreflightError
from innereye_runtime.targets.azureml.assets import resolve_data_asset
from innereye_runtime.targets.azureml.error_mapping import is_not_found
from innereye_runtime.targets.azureml.plan import AzureMLPlan
from innereye_runtime.targets.azureml.session import Session
from innereye_runtime.targets.azureml.settings import KEYS
from innereye_runtime.targets.azureml.submission import find_environment
from innereye_runtime.targets.preflight.result import CheckResult, failed, ok, skipped

_OF_WORKSPACE = ("compute", "environment", "dataset", "datastore")


def check_workspace(plan: AzureMLPlan) -> Iterator[tuple[str, CheckResult]]:
    """Whether the job's workspace can be reached, with this user's login, and has what the job names. Nothing is
    changed there.
    """
    try:
        session = Session(*plan.workspace.complete(), signs_in_here=True)
        session.call(
            f"looking for workspace {session.workspace}", lambda client: client.workspaces.get(session.workspace)
        )
    except InnerEyeError as error:
        yield "workspace", failed(error)
        named = {"compute": plan.cluster, "dataset": ", ".join(each.id for each in plan.inputs)}
        for name in _OF_WORKSPACE:
            yield name, skipped(f"{named[name]}: needs the workspace" if named.get(name) else "needs the workspace")
        return
    origins = {setting.origin for key in KEYS if (setting := getattr(plan.workspace, key))}
    yield "workspace", ok(f"{session.workspace} in {session.resource_group}, from {', '.join(sorted(origins))}")
    checks = (_compute, _environment, _datasets, _datastore)
    yield from ((name, _result(check, session, plan)) for name, check in zip(_OF_WORKSPACE, checks, strict=True))


def _result(check: Callable[[Session, AzureMLPlan], str], session: Session, plan: AzureMLPlan) -> CheckResult:
    try:
        return ok(check(session, plan))
    except InnerEyeError as error:
        return failed(error)


def _compute(session: Session, plan: AzureMLPlan) -> str:
    if plan.cluster is None:
        return f"serverless, {plan.instance_type}"
    name = plan.cluster
    try:
        found = session.call(f"looking for cluster {name}", lambda client: client.compute.get(name))
    except PreflightError as error:
        if not is_not_found(error):
            raise
        raise PreflightError(
            f"workspace {session.workspace} has no compute cluster {name}",
            hint="az ml compute list shows those that are there; name one in compute.azureml.cluster",
        ) from error
    size = getattr(found, "size", None)
    return f"cluster {name}" + (f", of {size}" if size else "")


def _environment(session: Session, plan: AzureMLPlan) -> str:
    if plan.environment_name is not None:
        return find_environment(session, plan.environment_name)
    if plan.packages is not None:
        return "one with the manifest's packages, registered when the first job is submitted"
    return f"image {plan.image}" if plan.image else "one of this runtime, registered when the first job is submitted"


def _datasets(session: Session, plan: AzureMLPlan) -> str:
    found = [resolve_data_asset(session, each, plan.datastore) for each in plan.inputs]
    return ", ".join(found) or "no dataset is named"


def _datastore(session: Session, plan: AzureMLPlan) -> str:
    session.container(plan.datastore)
    return f"{plan.datastore} has the run folders"
