"""The MLflow tracking API of the workspace: runs are its jobs. Served as far as `mlflow-skinny` with `azureml-mlflow`
goes to log metrics, parameters and tags in a job, and to read them from anywhere.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azureml_emulator.checker.api_description import Request
from azureml_emulator.http import RefusedError, Reply, stable_uuid

if TYPE_CHECKING:
    from azureml_emulator.state.job import Job
    from azureml_emulator.state.workspace import Workspace

_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}


@dataclass(slots=True, kw_only=True)
class RunData:
    """What a job logged."""

    metrics: list[dict[str, Any]] = field(default_factory=list)
    """Each with key, value, timestamp (ms) and step."""
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Tracking:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def answer(self, request: Request) -> Reply:
        """The reply to a request.

        Raises:
            RefusedError: in MLflow's words.
        """
        operation = request.path.split("/mlflow/")[-1]
        given: Mapping[str, Any] = request.query if request.verb == "GET" else request.body or {}
        match operation:
            case "runs/get":
                return Reply(200, {"run": self._run(self._job(given))})
            case "runs/search":
                wanted = set(given.get("experiment_ids") or ())
                jobs = [job for job in self._workspace.jobs.values() if job.experiment_id in wanted or not wanted]
                return Reply(200, {"runs": [self._run(job) for job in jobs]})
            case "metrics/get-history":
                metrics = self._job(given).data.metrics
                return Reply(200, {"metrics": [one for one in metrics if one["key"] == given["metric_key"]]})
            case "experiments/get" | "experiments/get-by-name":
                return Reply(200, {"experiment": self._experiment(given)})
            case "runs/log-metric":
                return self._log(given, metrics=[given])
            case "runs/log-parameter":
                return self._log(given, params=[given])
            case "runs/set-tag":
                return self._log(given, tags=[given])
            case "runs/log-batch" | "runs/log-batch-async":
                parts = {part: given.get(part, []) for part in BATCH_LIMITS}
                return self._log(given, **parts)
            case "runs/update":
                # The service, and not the job's own code, says how a job ended.
                return Reply(200, {"run_info": self._run(self._job(given))["info"]})
        raise _refusal(404, "ENDPOINT_NOT_FOUND", f"the stand-in does not serve mlflow/{operation}")

    def _log(
        self,
        given: Mapping[str, Any],
        *,
        metrics: Iterable[Mapping[str, Any]] = (),
        params: Iterable[Mapping[str, Any]] = (),
        tags: Iterable[Mapping[str, Any]] = (),
    ) -> Reply:
        data = self._job(given).data
        metrics, params, tags = list(metrics), list(params), list(tags)
        for part, items in (("metrics", metrics), ("params", params), ("tags", tags)):
            if len(items) > BATCH_LIMITS[part]:
                raise _refusal(400, "INVALID_PARAMETER_VALUE", f"at most {BATCH_LIMITS[part]} {part} in one request")
        with self._workspace.lock:
            for param in params:
                before = data.params.setdefault(param["key"], str(param["value"]))
                if before != str(param["value"]):
                    message = f"the value of param '{param['key']}' was logged already, and cannot be changed"
                    raise _refusal(400, "INVALID_PARAMETER_VALUE", message)
            for metric in metrics:
                moment = int(metric.get("timestamp") or time.time() * 1000)
                step = int(metric.get("step") or 0)
                data.metrics.append({"key": metric["key"], "value": metric["value"], "timestamp": moment, "step": step})
            data.tags.update({tag["key"]: str(tag["value"]) for tag in tags})
        return Reply(200, {})

    def _job(self, given: Mapping[str, Any]) -> Job:
        name = given.get("run_id") or given.get("run_uuid")
        job = self._workspace.jobs.get(str(name))
        if job is None:
            raise _refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Run '{name}' not found")
        return job

    def _run(self, job: Job) -> dict[str, Any]:
        latest: dict[str, dict[str, Any]] = {}
        for metric in job.data.metrics:
            before = latest.get(metric["key"])
            if before is None or (metric["step"], metric["timestamp"]) >= (before["step"], before["timestamp"]):
                latest[metric["key"]] = metric
        scope = f"{self._workspace.id}/experiments/{job.experiment_id}/runs/{job.name}/artifacts"
        artifacts = f"{self._workspace.tracking_uri.partition('/mlflow/')[0]}/mlflow/v2.0{scope}"
        info = {
            "run_id": job.name,
            "run_uuid": job.name,
            "run_name": job.properties.get("displayName") or job.name,
            "experiment_id": job.experiment_id,
            "status": _STATUS.get(job.status, "RUNNING"),
            "start_time": job.created_ms,
            "artifact_uri": artifacts,
            "lifecycle_stage": "active",
        }
        tags = {**(job.properties.get("tags") or {}), **job.data.tags}
        data = {
            "metrics": list(latest.values()),
            "params": [{"key": key, "value": value} for key, value in job.data.params.items()],
            "tags": [{"key": key, "value": value} for key, value in tags.items()],
        }
        return {"info": info, "data": data}

    def _experiment(self, given: Mapping[str, Any]) -> dict[str, Any]:
        names = {job.experiment for job in self._workspace.jobs.values()} | {"Default"}
        for name in sorted(names):
            if given.get("experiment_name") == name or given.get("experiment_id") == stable_uuid(name):
                return {
                    "experiment_id": stable_uuid(name),
                    "name": name,
                    "artifact_location": "",
                    "lifecycle_stage": "active",
                }
        raise _refusal(404, "RESOURCE_DOES_NOT_EXIST", "Could not find the experiment")


def _refusal(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(status, {"error_code": code, "message": message})
