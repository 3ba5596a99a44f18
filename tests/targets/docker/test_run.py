"""The same job by the process target, by the Docker target and by a bare `docker run`, on a real engine."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.projects import Project, Result
from tests.targets.docker.conftest import UID, Engine, Somebody, files_of, outcome, owned, trouble_project

from innereye_runtime.run.output_manifest import verify

IMAGE = "innereye-runtime:cpu"
PASSWORD = "hunter2-7f3a9c"


@pytest.fixture(scope="module")
def by_process(tmp_path_factory: pytest.TempPathFactory, needs: Any) -> Result:
    needs("torch")
    result = trouble_project(tmp_path_factory.mktemp("process")).run("tiny.yaml")
    assert result.exit_code == 0, result.stderr
    return result


def test_the_docker_target_gives_the_same_bytes(engine: Engine, by_process: Result, project: Project) -> None:
    by_docker = project.run("--target", "docker", "tiny.yaml")
    assert by_docker.exit_code == 0, by_docker.stderr
    assert outcome(by_docker) == outcome(by_process)
    assert verify(by_docker.run) == ()
    assert engine.names() == []
    assert by_docker.record["image"]["reference"] == IMAGE
    assert by_docker.record["image"]["digest"] == engine("inspect", "-f", "{{.Id}}", IMAGE).stdout.strip()
    assert "test/loss" in by_docker.stdout
    assert "test/loss" in (by_docker.run / "logs" / "console.log").read_text()


def test_a_module_without_a_container_gives_the_same_weights(
    engine: Engine, by_process: Result, project: Project
) -> None:
    model, data = "{class: tiny:Model, args: {width: 4, pause: 0}}", "{class: tiny:Data}"
    project.write("direct.yaml", f"schema: 1\nmodel: {model}\ndata: {data}\ntrainer: {{num_epochs: 4}}\n")
    by_docker = project.run("--target", "docker", "direct.yaml", "--model.width=8")
    assert by_docker.exit_code == 0, by_docker.stderr
    assert by_docker.weights == by_process.weights
    assert by_docker.record["arguments"]["model.width"] == {"value": 8, "origin": "command line"}
    assert "model.width = 8" in (by_docker.run / "args.txt").read_text()


def bare(engine: Engine, workspace: Path, *words: str) -> Result:
    user = f"{workspace.stat().st_uid}:{workspace.stat().st_gid}"
    done = engine("run", "--rm", "-v", f"{workspace}:/workspace", "--user", user, IMAGE, *words, check=False)
    outputs = sorted((workspace / "outputs").iterdir())
    assert done.stdout.splitlines()[-1] == f"/workspace/outputs/{outputs[-1].name}"
    return Result(exit_code=done.returncode, stdout=f"{outputs[-1]}\n", stderr=done.stderr)


def test_a_bare_docker_run_gives_the_same_bytes(engine: Engine, by_process: Result, project: Project) -> None:
    result = bare(engine, project.root, "tiny.yaml")
    assert result.exit_code == 0, result.stderr
    assert outcome(result) == outcome(by_process)


def test_a_bare_docker_run_takes_overrides_and_the_manifests_of_the_image(engine: Engine, tmp_path: Path) -> None:
    result = bare(engine, tmp_path, "--smoke", "manifests/hello.yaml", "--num_epochs=1")
    assert result.exit_code == 0, result.stderr
    assert result.record["arguments"]["num_epochs"] == {"value": 1, "origin": "command line"}


def test_another_users_run_is_the_same_and_theirs(engine: Engine, by_process: Result, somebodys_folder: Path) -> None:
    project = owned(trouble_project(somebodys_folder))
    by_docker = project.run("--target", "docker", "tiny.yaml", environment={"HOME": str(project.root)})
    assert by_docker.exit_code == 0, by_docker.stderr
    assert outcome(by_docker) == outcome(by_process)
    by_hand = bare(engine, project.root, "tiny.yaml")
    assert outcome(by_hand) == outcome(by_process)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (project.root / "outputs").rglob("*")}
    assert owners == {(UID, UID)}
    # Without root's rights, and so without the capability that reads a checkout anywhere.
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--"]
    subprocess.run([*become, "rm", "-r", project.root / "outputs"], check=True)


@pytest.fixture
def waiting(engine: Engine, somebodys_folder: Path) -> Iterator[tuple[Somebody, dict[str, Any]]]:
    """A job of another user that has started and waits, and what the engine shows of it."""
    (somebodys_folder / "data").mkdir()
    (somebodys_folder / "project").mkdir()
    manifest = (
        "dataset: {local: ../data}\nsecrets: [API_KEY]\ncompute: {docker: {memory: 2g, cpus: 1.5}, shm_size: 32m}\n"
    )
    owned(Project(somebodys_folder))
    project = owned(trouble_project(somebodys_folder / "project", manifest))
    environment = {**os.environ, "HOME": str(project.root), "API_KEY": PASSWORD}
    command = project.command("--target", "docker", "trouble.yaml", "--trouble=waits")
    launcher = subprocess.Popen(
        command, cwd=project.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert launcher.stdout is not None
    while "waiting" not in (line := launcher.stdout.readline()):
        assert line, "the job ended before it waited"
    shown = json.loads(engine("inspect", engine.names()[0]).stdout)[0]
    yield project, shown
    launcher.terminate()
    launcher.communicate(timeout=40)
    assert launcher.returncode == 143


def test_a_running_job_can_do_nothing_but_its_job(engine: Engine, waiting: tuple[Somebody, dict[str, Any]]) -> None:
    project, shown = waiting
    host = shown["HostConfig"]
    assert shown["Config"]["User"] == f"{UID}:{UID}"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"]
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (2 << 30, 2 << 30, 1_500_000_000)
    assert (host["ShmSize"], host["PidsLimit"]) == (32 << 20, 4096)
    writable = {mount["Source"] for mount in shown["Mounts"] if mount["RW"]}
    assert writable == {str(next((project.root / "outputs").iterdir()))}
    read_only = {mount["Destination"] for mount in shown["Mounts"] if not mount["RW"]}
    assert read_only == {str(project.root), str(project.root.parent / "data"), "/run/innereye-runtime/launch.json"}
    # What the request says holds inside.
    status = engine("exec", shown["Id"], "cat", "/proc/self/status").stdout
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == [str(UID)] * 4
    assert (fields["CapEff"], fields["CapBnd"], fields["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    for place in (project.root.parent / "data", project.root, "/opt", "/workspace"):
        assert engine("exec", shown["Id"], "touch", f"{place}/x", check=False).returncode != 0, place


def test_a_secret_reaches_the_users_code_and_nothing_else(
    engine: Engine, waiting: tuple[Somebody, dict[str, Any]], project: Project
) -> None:
    other, shown = waiting
    printed = engine("logs", shown["Id"])
    (run,) = (other.root / "outputs").iterdir()
    searched = {
        "inspect": json.dumps(shown),
        "inspect of the image": engine("inspect", IMAGE).stdout,
        "history": engine("history", "--no-trunc", IMAGE).stdout,
        "logs": printed.stdout + printed.stderr,
        "arguments of its processes": engine("top", shown["Id"]).stdout,
        "run.json": (run / "run.json").read_text(),
        "console.log": (run / "logs" / "console.log").read_text(),
    }
    assert [name for name, text in searched.items() if not text] == []
    assert [name for name, text in searched.items() if PASSWORD in text] == []
    # Nobody else can read it from the launcher's side: it is not there any more.
    sources = [Path(mount["Source"]) for mount in shown["Mounts"] if mount["Destination"].endswith("launch.json")]
    assert len(sources) == 1 and not sources[0].exists() and not sources[0].parent.exists()
    manifest = "schema: 1\ncontainer: {class: Trouble, namespaces: [trouble]}\nsecrets: [API_KEY, OTHER_KEY]\n"
    project.write("secret.yaml", manifest)
    values = {"API_KEY": PASSWORD, "OTHER_KEY": f"{PASSWORD}-2"}
    result = project.run("--target", "docker", "secret.yaml", "--trouble=secret", environment=values)
    assert result.exit_code == 0, result.stderr
    lengths = {name: len(value) for name, value in values.items()}
    assert (result.run / "lengths.txt").read_text() == str(lengths)
    assert PASSWORD not in result.stdout + result.stderr
    holders = [path for path in result.run.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert holders == []
    assert {"run.json", "report.html", "logs/console.log"} <= set(files_of(result.run))
    assert other.root.exists()


def test_output_comes_through_byte_for_byte(engine: Engine, project: Project) -> None:
    done = subprocess.run(
        project.command("--target", "docker", "trouble.yaml", "--trouble=noise"), cwd=project.root, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    noise = b"50%\rcaf\xc3\xa9 \xf0\x9f\xa7\xa0\n\xff no text\n"
    assert noise in done.stdout
    assert b"to standard error" in done.stderr
    run = Path(os.fsdecode(done.stdout.splitlines()[-1]))
    log = (run / "logs" / "console.log").read_bytes()
    assert noise in log and b"to standard error" in log


def test_json_has_the_result_and_nothing_else_on_standard_output(engine: Engine, project: Project) -> None:
    result = project.run("--json", "--smoke", "--target", "docker", "tiny.yaml")
    found = json.loads(result.stdout)
    assert (found["state"], found["exit_code"]) == ("completed", 0)
    assert found["weights_sha256"]


def test_a_retried_job_goes_on_in_its_folder(engine: Engine, project: Project) -> None:
    started = time.monotonic()
    result = project.run("--target", "docker", "tiny.yaml", "--misbehaviour=out of memory once")
    assert result.exit_code == 0, (result.stderr, time.monotonic() - started)
    assert [attempt["state"] for attempt in result.record["attempts"]] == ["failed", "completed"]
    assert engine.names() == []
