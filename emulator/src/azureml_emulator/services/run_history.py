"""The host *.api.azureml.ms: run history, the dataset data plane and MLflow. They are not documented; the responses
have what azure-ai-ml and azureml-mlflow read.
"""

from __future__ import annotations

import re

from azureml_emulator.http import Request, Response, arm_error
from azureml_emulator.services.job_views import run, run_details
from azureml_emulator.services.mlflow_tracking import MlflowTracking
from azureml_emulator.state.workspace import Workspace


class RunHistory:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tracking = MlflowTracking(workspace)

    def respond(self, request: Request) -> Response:
        """The response to a request.

        Raises:
            ServiceError: the resource does not exist.
        """
        if "/mlflow/" in request.path:
            return self._tracking.respond(request)
        workspace, body = self._workspace, request.body
        if request.path.endswith("/rundata"):
            metadata = run(workspace, workspace.job(body["runId"]))
            return Response(200, {"runMetadata": metadata, "runDefinition": None, "jobSpecification": None})
        if request.path.endswith("/dataversion/batchGetResolvedUris"):
            known = workspace.output_assets
            uris = {name: {"uri": known[name], "type": "UriFolder"} for name in body["values"] if name in known}
            return Response(200, {"values": uris})
        if match := re.search(r"/runs/([^/]+)/children$", request.path):
            trials = [job for job in list(workspace.jobs.values()) if job.parent == workspace.job(match[1]).name]
            return Response(200, {"value": [run(workspace, trial) for trial in trials], "nextLink": None})
        match = re.search(r"/runs/([^/]+)(/details)?$", request.path)
        if match is None:
            raise arm_error(404, "NotFound", f"the emulator does not implement {request.path}")
        job = workspace.job(match[1])
        if request.verb == "PATCH":
            job.patch(body)
        return Response(200, (run_details if match[2] else run)(workspace, job))
