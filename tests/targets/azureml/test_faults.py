"""The service misbehaves: one job all the same, nothing lost, no traceback, and a message with the way to go on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tests.projects import Project, Result

pytestmark = pytest.mark.usefixtures("image")
JOB = ("--target", "azureml", "tiny.yaml", "--num_epochs=2")
PUT = "PUT management.azure.com/*/jobs/*"
GET = "GET management.azure.com/*/jobs/*"
LOG = "GET *blob*/user_logs/*"
RUN = "GET *blob*/innereye-runtime/*"


def faults(*texts: str) -> list[Any]:
    from azureml_emulator.faults import Fault

    return [Fault.parse(text) for text in texts]


def submitted(cloud: Any) -> int:
    """How many jobs there are; whatever was sent how often."""
    return len(cloud.workspace.jobs)


def whole(project: Project, result: Result) -> bool:
    return result.exit_code == 0 and project.run("verify", str(result.run)).exit_code == 0


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(
            [f"429@{PUT}", f"500@{PUT}", f"answer-dropped@{PUT}:9", "token-expired@POST *startPendingUpload"],
            id="submitting",
        ),
        pytest.param(
            [f"token-expired@{GET}", f"500@{GET}:2", f"dropped@{GET}:2", f"503@{LOG}:2", f"answer-dropped@{LOG}"],
            id="following",
        ),
        pytest.param(
            [
                f"500@{RUN}outputs.json:3",
                f"answer-dropped@{RUN}.ckpt:3",
                f"dropped@{RUN}report.html:4",
                f"429@{RUN}metrics.json:2",
                f"token-expired@{RUN}run.json",
            ],
            id="downloading",
        ),
    ],
)
def test_a_job_survives_what_passes(project: Project, cloud_for: Callable[..., Any], texts: list[str]) -> None:
    with cloud_for(faults=faults(*texts)) as cloud:
        result = project.run(*JOB, environment=cloud.environment())
        assert submitted(cloud) == 1
        assert {kind for kind, _ in cloud.faults.done} == {fault.kind for fault in faults(*texts)}
    assert whole(project, result), result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout.count("epoch 2 of 2") == 1


def test_a_service_that_never_takes_the_job_is_said(project: Project, cloud_for: Callable[..., Any]) -> None:
    with cloud_for(faults=faults(f"500@{PUT}:99")) as cloud:
        result = project.run(*JOB, environment=cloud.environment())
        assert submitted(cloud) == 0
    assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
    assert re.search(r"error: submitting the job: Azure answered 500", result.stderr)
    assert not list((project.root / "outputs").iterdir())


def test_where_it_cant_be_told_whether_a_job_was_taken_it_is_named(
    project: Project, cloud_for: Callable[..., Any]
) -> None:
    with cloud_for(faults=faults(f"answer-dropped@{PUT}:99", f"500@{GET}:99")) as cloud:
        result = project.run(*JOB, environment=cloud.environment())
        name = next(iter(cloud.workspace.jobs))
        assert submitted(cloud) == 1
    assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
    assert f"look for job {name} in workspace emulator-ws before you submit again" in result.stderr


def test_a_run_folder_that_cant_come_home_is_told_with_the_address(
    project: Project, cloud_for: Callable[..., Any]
) -> None:
    with cloud_for(faults=faults("500@GET *blob*/report.html:99")) as cloud:
        result = project.run(*JOB, environment=cloud.environment())
        assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
        address = re.findall(r"azureml://\S+/jobs/[\w-]+", result.stderr)[-1]
        assert f"innereye-run download '{address}'" in result.stderr
        cloud.faults.clear()
        home = project.run("download", address, environment=cloud.environment())
    assert whole(project, home), home.stderr


def test_a_wrong_secret_is_told_in_a_line(project: Project, cloud_for: Callable[..., Any]) -> None:
    with cloud_for() as cloud:
        result = project.run(*JOB, environment={**cloud.environment(), "AZURE_CLIENT_SECRET": "wrong"})
    assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
    assert "error: opening datastore workspaceblobstore: Azure authentication failed: " in result.stderr
    assert "hint: sign in with az login" in result.stderr


def test_a_workspace_that_is_not_there_is_told_in_a_line(project: Project, cloud_for: Callable[..., Any]) -> None:
    with cloud_for() as cloud:
        result = project.run(*JOB, environment={**cloud.environment(), "AZUREML_ARM_WORKSPACE_NAME": "nowhere"})
    assert (result.exit_code, "Traceback" in result.stderr) == (3, False)
    assert "was not found" in result.stderr


def test_without_the_azure_packages_the_extra_is_named(project: Project) -> None:
    code = """
import sys
sys.modules["azure.ai.ml"] = None
from innereye_runtime.cli.main import main
sys.exit(main(["--target", "azureml", "tiny.yaml"]))
"""
    environment = dict.fromkeys(("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP"), "x")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        capture_output=True,
        text=True,
        env={**environment, "AZUREML_ARM_WORKSPACE_NAME": "x", "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 3
    assert "hint: pip install 'innereye-runtime[azureml]'" in done.stderr
