"""The MLflow tracking API of the workspace: runs are its jobs. It implements what `mlflow-skinny` with `azureml-mlflow`
uses to log metrics, parameters and tags in a job, and to read them from anywhere.

Source: https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from azureml_emulator.http import Request, Response, ServiceError, stable_uuid
from azureml_emulator.state.job import CommandJob
from azureml_emulator.state.workspace import Workspace

_STATUS = {"Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
BATCH_LIMITS = {"metrics": 1000, "params": 100, "tags": 100}


class MlflowTracking:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def respond(self, request: Request) -> Response:
        """The response to a request.

        Raises:
            ServiceError: an error in MLflow's format.
        """
        operation = request.path.split("/mlflow/")[-1]
        arguments: Mapping[str, Any] = request.query if request.verb == "GET" else request.body or {}
        match operation:
            case "runs/get":
                return Response(200, {"run": self._run(self._job(arguments))})
            case "runs/search":
                wanted = set(arguments.get("experiment_ids") or ())
                jobs = [job for job in list(self._workspace.jobs.values()) if job.experiment_id in wanted or not wanted]
                return Response(200, {"runs": [self._run(job) for job in jobs]})
            case "metrics/get-history":
                metrics = self._job(arguments).data.metrics
                return Response(200, {"metrics": [one for one in metrics if one["key"] == arguments["metric_key"]]})
            case "experiments/get" | "experiments/get-by-name":
                return Response(200, {"experiment": self._experiment(arguments)})
            case "runs/log-metric":
                return self._log(arguments, metrics=[arguments])
            case "runs/log-parameter":
                return self._log(arguments, params=[arguments])
            case "runs/set-tag":
                return self._log(arguments, tags=[arguments])
            case "runs/log-batch" | "runs/log-batch-async":
                parts = {part: arguments.get(part, []) for part in BATCH_LIMITS}
                return self._log(arguments, **parts)
            case "runs/update":
                # The service, not the job's own code, determines how a job ended.
                return Response(200, {"run_info": self._run(self._job(arguments))["info"]})
        raise _mlflow_error(404, "ENDPOINT_NOT_FOUND", f"the emulator does not implement mlflow/{operation}")

    def _log(
        self,
        arguments: Mapping[str, Any],
        *,
        metrics: Iterable[Mapping[str, Any]] = (),
        params: Iterable[Mapping[str, Any]] = (),
        tags: Iterable[Mapping[str, Any]] = (),
    ) -> Response:
        data = self._job(arguments).data
        metrics, params, tags = list(metrics), list(params), list(tags)
        for part, items in (("metrics", metrics), ("params", params), ("tags", tags)):
            if len(items) > BATCH_LIMITS[part]:
                raise _mlflow_error(
                    400, "INVALID_PARAMETER_VALUE", f"at most {BATCH_LIMITS[part]} {part} in one request"
                )
        with self._workspace.lock:
            for param in params:
                before = data.params.setdefault(param["key"], str(param["value"]))
                if before != str(param["value"]):
                    message = f"the value of param '{param['key']}' was logged before and cannot be changed"
                    raise _mlflow_error(400, "INVALID_PARAMETER_VALUE", message)
            for metric in metrics:
                moment = int(metric.get("timestamp") or time.time() * 1000)
                step = int(metric.get("step") or 0)
                data.metrics.append({"key": metric["key"], "value": metric["value"], "timestamp": moment, "step": step})
            data.tags.update({tag["key"]: str(tag["value"]) for tag in tags})
        return Response(200, {})

    def _job(self, arguments: Mapping[str, Any]) -> CommandJob:
        name = arguments.get("run_id") or arguments.get("run_uuid")
        job = self._workspace.jobs.get(str(name))
        if job is None:
            raise _mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", f"Run '{name}' not found")
        return job

    def _run(self, job: CommandJob) -> dict[str, Any]:
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

    def _experiment(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        names = {job.experiment for job in list(self._workspace.jobs.values())} | {"Default"}
        for name in sorted(names):
            if arguments.get("experiment_name") == name or arguments.get("experiment_id") == stable_uuid(name):
                return {
                    "experiment_id": stable_uuid(name),
                    "name": name,
                    "artifact_location": "",
                    "lifecycle_stage": "active",
                }
        raise _mlflow_error(404, "RESOURCE_DOES_NOT_EXIST", "Could not find the experiment")


def _mlflow_error(status: int, code: str, message: str) -> ServiceError:
    return ServiceError(status, {"error_code": code, "message": message})
