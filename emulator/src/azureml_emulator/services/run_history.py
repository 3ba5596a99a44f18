"""The host *.api.azureml.ms: run history, the dataset data plane, and the way to MLflow. None of it is in a description
that is at hand; what is answered is what azure-ai-ml and azureml-mlflow read.
"""

from __future__ import annotations

import re

from azureml_emulator.checker.api_description import Request
from azureml_emulator.http import Reply, arm_refusal
from azureml_emulator.services.mlflow_tracking import Tracking
from azureml_emulator.state.workspace import Workspace


class History:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tracking = Tracking(workspace)

    def answer(self, request: Request) -> Reply:
        """The reply to a request.

        Raises:
            RefusedError: what is named isn't there.
        """
        if "/mlflow/" in request.path:
            return self._tracking.answer(request)
        workspace, body = self._workspace, request.body
        if request.path.endswith("/rundata"):
            run = workspace.job(body["runId"]).run()
            return Reply(200, {"runMetadata": run, "runDefinition": None, "jobSpecification": None})
        if request.path.endswith("/dataversion/batchGetResolvedUris"):
            known = workspace.output_assets
            uris = {name: {"uri": known[name], "type": "UriFolder"} for name in body["values"] if name in known}
            return Reply(200, {"values": uris})
        match = re.search(r"/runs/([^/]+)(/details)?$", request.path)
        if match is None:
            raise arm_refusal(404, "NotFound", f"the stand-in does not serve {request.path}")
        job = workspace.job(match[1])
        if request.verb == "PATCH":
            job.patch(body)
        return Reply(200, job.details() if match[2] else job.run())
