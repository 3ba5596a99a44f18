"""Each way to fail: its exit code, its sentence and remedy (golden), its reason in run.json, nothing left behind."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.projects import Project, Result
from tests.targets.docker.conftest import UID, Engine

from innereye_runtime.errors import DataError
from innereye_runtime.job.resolve import resolve_job
from innereye_runtime.targets.docker.engine import connect, create
from innereye_runtime.targets.docker.request import Bind
from innereye_runtime.targets.docker.target import TARGET

GOLDEN = Path(__file__).parent / "golden"
SMALL = "{retries: {infrastructure: 0}, docker: {memory: 600m}, shm_size: 8m}"

CASES = {
    # name: (compute, other keys, override, exit code, state in run.json or None where no run begins)
    "exit_42": ("{}", "", "--misbehaviour=exit", 42, "failed"),
    "raised": ("{}", "", "--misbehaviour=raise", 1, "failed"),
    "out_of_memory": (SMALL, "", "--trouble=memory", 137, "failed"),
    "bus_error": (SMALL, "", "--trouble=bus error", 135, "failed"),
    "shared_memory": (SMALL, "", "--trouble=shared memory", 135, "failed"),
    "missing_image": ("{docker: {image: 'nowhere:1'}}", "", "", 4, None),
    "foreign_image": ("{docker: {image: 'debian:bookworm-slim'}}", "", "", 4, "failed"),
    "no_gpu": ("{gpus: all, docker: {image: 'innereye-runtime:cpu'}}", "", "", 3, None),
    "missing_dataset": ("{}", "dataset: {local: nowhere}\n", "", 5, None),
    "missing_secret": ("{}", "secrets: [NOT_SET]\n", "", 3, None),
    "limits": ("{docker: {cpus: 4096}}", "", "", 3, "failed"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_failure_has_its_code_and_says_what_to_do(name: str, engine: Engine, project: Project) -> None:
    compute, more, override, exit_code, state = CASES[name]
    result = fail(project, compute, more, *([override] if override else []))
    assert result.exit_code == exit_code, result.stdout + result.stderr
    compare(name, result, project)
    assert engine.names() == []
    runs = list((project.root / "outputs").glob("*/run.json"))
    assert len(runs) == (state is not None)
    if state is not None:
        record = Result(exit_code=0, stdout=str(runs[0].parent), stderr="").record
        assert (record["state"], record["exit_code"]) == (state, exit_code)
        assert record["reason"]


def test_no_engine(engine: Engine, project: Project) -> None:
    result = fail(project, "{}", "", environment={"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert result.exit_code == 3
    compare("no_engine", result, project)


def test_an_engine_that_this_user_may_not_talk_to(engine: Engine, project: Project, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    command = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--inh-caps=-all,+dac_read_search"]
    command += ["--ambient-caps=+dac_read_search", "--", *project.command("doctor")]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=project.root, env=environment)
    assert done.returncode == 3
    assert "this user may not talk to the Docker engine" in done.stdout
    assert "group docker" in done.stdout


def test_a_folder_that_is_gone_when_the_engine_looks_for_it(engine: Engine, project: Project) -> None:
    request = TARGET.plan(resolve_job(project.root / "tiny.yaml", cwd=project.root, target="docker")).request
    folder = project.root / "gone"
    with pytest.raises(
        DataError, match=f"^{folder} is not there for the Docker engine, so it can't be mounted$"
    ) as told:
        create(connect(), replace(request, binds=(Bind(folder),), name="gone"))
    assert told.value.exit_code == 5
    assert told.value.hint.startswith("restore it")
    assert not folder.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_disk_full(engine: Engine, project: Project, small_disk: Path) -> None:
    result = fail(project, "{}", f"outputs: {{folder: '{small_disk}'}}\n", "--trouble=disk")
    assert result.exit_code == 3, result.stdout + result.stderr
    compare("disk_full", result, project)
    assert result.record["reason"].startswith("disk full")
    # The next start sees it beforehand.
    result = fail(project, "{}", f"outputs: {{folder: '{small_disk}'}}\n")
    assert result.exit_code == 3
    compare("disk_full_before", result, project)


def fail(
    project: Project, compute: str, more: str, *overrides: str, environment: dict[str, str] | None = None
) -> Result:
    name = "Tiny" if any("misbehaviour" in word for word in overrides) else "Trouble"
    text = f"schema: 1\ncontainer: {{class: {name}, namespaces: [tiny, trouble]}}\ncompute: {compute}\n{more}"
    project.write("fails.yaml", text)
    return project.run("--target", "docker", "fails.yaml", *overrides, environment=environment)


def compare(name: str, result: Result, project: Project) -> None:
    """The lines that tell the failure, against the golden file; GOLDEN=write writes it anew."""
    lines = [line for line in (result.stdout + result.stderr).splitlines() if re.match(r"(error|hint):", line)]
    text = "\n".join(lines) + "\n"
    text = text.replace(str(project.root), "PROJECT")
    text = re.sub(r"\d{4}-\d\d-\d\dT\d{6}Z", "START", text)
    text = re.sub(r"to \d+\.\d+, as there are only \d+ CPUs", "to N, as there are only N CPUs", text)
    text = re.sub(r"disk full: \d+ MiB", "disk full: N MiB", text)
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
