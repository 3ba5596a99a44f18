"""A job file that was submitted by hand, with outputs of its own: all of them come home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project

pytestmark = pytest.mark.usefixtures("image")

OUTPUTS = """\
  figures: {type: uri_folder}
  tables: {type: uri_folder, path: azureml://datastores/workspaceblobstore/paths/my/tables}
  nothing: {type: uri_folder}
"""
FIRST = (
    "mkdir ${{outputs.figures}}/deep && echo curve > ${{outputs.figures}}/deep/curve.txt && "
    "echo 1,2 > ${{outputs.tables}}/rows.csv && ls ${{outputs.nothing}} && "
)
SUBMIT = """
import io, sys
from azure.ai.ml import MLClient, load_job
from azure.identity import EnvironmentCredential

client = MLClient(EnvironmentCredential(), *sys.argv[1:4], show_progress=False)
print(client.jobs.create_or_update(load_job(io.StringIO(sys.stdin.read()))).name)
"""


def submit_by_hand(project: Project, cloud: Any) -> str:
    """The address of a job that was made from what `plan` shows, as its first lines tell to."""
    planned = project.run("plan", "--target", "azureml", "tiny.yaml", "--num_epochs=1", environment=cloud.environment())
    assert planned.exit_code == 0, planned.stderr
    command = re.search(
        r"--subscription (\S+) --resource-group (\S+) --workspace-name (\S+)$", planned.stdout.splitlines()[0]
    )
    assert command, planned.stdout
    file = planned.stdout.replace("<UTC start>", "by-hand").replace("\noutputs:\n", f"\noutputs:\n{OUTPUTS}")
    file = file.replace("\ncommand: ", f"\ncommand: {FIRST}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SUBMIT, *command.groups()],
        input=file,
        capture_output=True,
        text=True,
        env={**os.environ, **cloud.environment()},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    subscription, group, workspace = command.groups()
    name = done.stdout.split()[-1]
    return f"azureml://subscriptions/{subscription}/resourcegroups/{group}/workspaces/{workspace}/jobs/{name}"


def test_named_outputs_come_home_beside_the_run_folder(project: Project, cloud: Any, tmp_path: Path) -> None:
    address = submit_by_hand(project, cloud)
    followed = project.run("logs", "-f", address, environment=cloud.environment())
    assert "epoch 1 of 1" in followed.stdout, followed.stderr
    result = project.run("download", "--to", str(tmp_path / "home"), address, environment=cloud.environment())
    assert result.exit_code == 0, result.stderr
    assert result.run.parent == tmp_path / "home"
    assert project.run("verify", str(result.run)).exit_code == 0
    assert result.weights == project.run("tiny.yaml", "--num_epochs=1").weights
    figures, tables = (result.run.with_name(f"{result.run.name}.{name}") for name in ("figures", "tables"))
    assert (figures / "deep" / "curve.txt").read_text() == "curve\n"
    assert (tables / "rows.csv").read_text() == "1,2\n"
    assert {path.name for path in (tmp_path / "home").iterdir()} == {result.run.name, figures.name, tables.name}


def test_a_job_of_another_making_is_told_apart(project: Project, cloud: Any) -> None:
    workspace = cloud.workspace
    environment = workspace.put("environments", "other", "1", {"image": "python:3"})["id"]
    properties = {"jobType": "Command", "command": "true", "environmentId": environment}
    job = workspace.jobs["other"] = cloud.runner.make("other", properties)
    job.set_status("Completed")
    group = f"azureml://subscriptions/{workspace.subscription}/resourcegroups/{workspace.group}"
    address = f"{group}/workspaces/{workspace.name}/jobs/other"
    refused = project.run("download", address, environment=cloud.environment())
    assert (refused.exit_code, "Traceback" in refused.stderr) == (6, False)
    assert "job other has no output 'run': innereye-run did not submit it\nhint: az ml job download" in refused.stderr
