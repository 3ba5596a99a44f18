"""Metrics and parameters of a job, as anybody reads them: with `mlflow` and `azureml-mlflow`, unchanged."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.projects import Project

READ = """
import json, sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient()
run = client.get_run(sys.argv[2])
history = {name: [metric.value for metric in client.get_metric_history(sys.argv[2], name)] for name in run.data.metrics}
print(json.dumps({"params": run.data.params, "history": history, "tags": run.data.tags, "status": run.info.status}))
"""


@pytest.mark.usefixtures("image")
def test_what_a_job_logged_is_read_with_mlflow(
    project: Project, cloud_for: Callable[..., Any], needs: Callable[..., None]
) -> None:
    needs("mlflow")
    with cloud_for() as cloud:
        result = project.run("--target", "azureml", "tiny.yaml", "--width=5", environment=cloud.environment())
        assert result.exit_code == 0, result.stdout + result.stderr
        (job,) = cloud.workspace.jobs
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", READ, cloud.workspace.tracking_uri, job],
            capture_output=True,
            text=True,
            env={**os.environ, **cloud.environment(), "MLFLOW_DISABLE_TELEMETRY": "true"},
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.splitlines()[-1])
    assert read["params"]["width"] == "5"
    assert set(read["params"]) == set(result.record["arguments"])
    with (result.run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["val/loss"]) for row in rows if row["val/loss"]]
    assert read["history"]["val/loss"] == pytest.approx(losses)
    assert "test/loss" in read["history"]
    assert (read["status"], read["tags"]["innereye-runtime.attempt"]) == ("FINISHED", "1")
