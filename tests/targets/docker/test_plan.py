"""The request for a container as a value: the whole of it compared, with no engine anywhere."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.projects import Project, tiny_project

from innereye_runtime.job.entrypoint_args import EntrypointArgs
from innereye_runtime.job.launch_context import LAUNCH_FILE
from innereye_runtime.job.resolve import Job, resolve_job
from innereye_runtime.manifest.units import Memory
from innereye_runtime.targets.docker.request import Bind, ContainerRequest, HostUser, container_name, plan_for
from innereye_runtime.targets.docker.target import TARGET

CALLER = HostUser(uid=1000, gid=1001, groups=(27, 998), memory=Memory.parse("10g"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    return tiny_project(tmp_path / "project")


def job(project: Project, more: str = "", *overrides: str) -> Job:
    text = f"schema: 1\ncontainer: {{class: Tiny, namespaces: [tiny]}}\n{more}"
    return resolve_job(project.write("job.yaml", text), cwd=project.root, target="docker", overrides=overrides)


def test_a_small_job_asks_for_this(project: Project) -> None:
    assert plan_for(job(project), CALLER).request == ContainerRequest(
        image="innereye-runtime:cpu",
        command=("--target=docker", f"--code-root={project.root}", str(project.root / "job.yaml")),
        name="",
        user="1000:1001",
        groups=(27, 998),
        working_directory=project.root,
        environment={"NVIDIA_VISIBLE_DEVICES": "void"},
        binds=(Bind(project.root),),
        labels={"innereye-runtime.model": "Tiny", "innereye-runtime.manifest": str(project.root / "job.yaml")},
        memory=Memory.parse("9g"),
        cpus=None,
        shared_memory=Memory.parse("4608m"),
        gpus="none",
        processes=4096,
    )


def test_what_the_manifest_says_is_asked_for(project: Project, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    manifest = """\
dataset: {local: ../data}
compute: {gpus: [0, 3], shm_size: 1g, docker: {image: "mine:1", memory: 8g, cpus: 2.5}}
environment: {OMP_NUM_THREADS: "2"}
secrets: [API_KEY]
"""
    request = plan_for(job(project, manifest, "--width=16"), CALLER).request
    assert request.image == "mine:1"
    assert request.gpus == (0, 3)
    assert (request.memory, request.cpus, request.shared_memory) == (Memory.parse("8g"), 2.5, Memory.parse("1g"))
    assert request.environment == {"OMP_NUM_THREADS": "2"}
    assert request.binds == (Bind(tmp_path / "data"), Bind(project.root))
    assert request.command[-2:] == (str(project.root / "job.yaml"), "--width=16")


def test_gpus_bring_the_gpu_image(project: Project) -> None:
    assert plan_for(job(project, "compute: {gpus: all}\n"), CALLER).request.image == "innereye-runtime:gpu"


def test_a_dataset_that_an_argument_names_is_mounted(project: Project, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    request = plan_for(job(project, "", f"--local_dataset={tmp_path / 'elsewhere'}"), CALLER).request
    assert Bind(tmp_path / "elsewhere") in request.binds


def test_an_attempt_fills_in_what_its_start_decides(project: Project) -> None:
    plan = plan_for(job(project), CALLER)
    folder = project.root / "outputs" / "run"
    handover = replace(plan.handover, run_folder=folder)
    launch = Path("/dev/shm/x/launch.json")
    request = plan.container(handover, name="run-1-1", launch=launch, labels={"run": "run"})
    assert request == replace(
        plan.request,
        name="run-1-1",
        command=(
            "--target=docker",
            f"--run-folder={folder}",
            f"--code-root={project.root}",
            str(project.root / "job.yaml"),
        ),
        binds=(Bind(launch, target=LAUNCH_FILE), Bind(project.root), Bind(folder, read_only=False)),
        labels={**plan.request.labels, "innereye-runtime.run": "run"},
    )


@pytest.mark.parametrize("folder", ["2026-11-24T101530Z_Tiny", "_best of all", ".hidden", "zwölf", "ärger", "-"])
def test_the_name_of_a_container_is_one_that_the_engine_takes(folder: str) -> None:
    name = container_name(folder, 1, 7)
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name) and name.endswith("7-1")


def test_equal_jobs_give_equal_plans(project: Project) -> None:
    assert TARGET.plan(job(project)) == TARGET.plan(job(project))
    assert plan_for(job(project), CALLER) != plan_for(job(project, "", "--width=9"), CALLER)


def test_the_description_is_plain_data(project: Project) -> None:
    described = plan_for(job(project, "secrets: [API_KEY]\n"), CALLER).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["command"][0] == "innereye-runtime"
    assert described["mounts"] == [f"{project.root} (read-only)"]
    assert described["secrets"] == ["API_KEY"]


def test_sudo_runs_the_container_as_the_one_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    caller = HostUser.current({"SUDO_UID": "1000", "SUDO_GID": "1001"})
    assert (caller.uid, caller.gid, caller.groups) == (1000, 1001, ())


def test_the_command_is_what_the_running_side_reads(project: Project) -> None:
    from innereye_runtime.job.entrypoint_args import parse

    plan = plan_for(job(project, "", "--width=16"), CALLER)
    assert parse(plan.request.command) == plan.handover
    assert isinstance(plan.handover, EntrypointArgs)


def test_everything_that_a_module_and_a_data_module_need_is_in_the_container(project: Project, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "weights.ckpt").touch()
    ours = "from tiny import Data\nclass Ours(Data):\n    def __init__(self, weights: Path): ...\n"
    (shared / "data.py").write_text(f"from pathlib import Path\n{ours}")
    text = f"""\
model: {{class: tiny:Model, args: {{width: 4, pause: 0}}}}
data: {{class: data:Ours, args: {{weights: {shared}/weights.ckpt}}}}
"""
    manifest = project.write("job.yaml", f"schema: 1\n{text}")
    sys.path.append(str(shared))
    try:
        plan = plan_for(resolve_job(manifest, cwd=project.root, target="docker", overrides=["--model.width=8"]), CALLER)
    finally:
        sys.path.remove(str(shared))
    assert plan.request.command[-1] == "--model.width=8"
    assert plan.request.environment["PYTHONPATH"] == str(shared)
    assert {Bind(shared), Bind(shared / "weights.ckpt")} <= {*plan.request.binds}
