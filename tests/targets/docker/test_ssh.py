"""An engine that is reached through ssh: a real sshd on loopback, and the `ssh` command with settings of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.projects import Project
from tests.targets.docker.conftest import Engine

from innereye_runtime.run.output_manifest import verify


@pytest.fixture
def over_ssh(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which DOCKER_HOST names the engine by an alias of ssh's settings, at a port that they have."""
    needs("docker", "sshd")
    folder, ssh = tmp_path_factory.mktemp("ssh"), shutil.which("ssh")
    for key in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/client.pub\n"
        "PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n"
        f"SetEnv DOCKER_HOST={os.environ.get('DOCKER_HOST', 'unix:///var/run/docker.sock')}\n"
    )
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "ssh_config").write_text(
        f"Host engine\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {folder}/client\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {folder}/known_hosts\n  BatchMode yes\n"
    )
    (folder / "bin").mkdir()
    (folder / "bin" / "ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {folder}/ssh_config "$@"\n')
    (folder / "bin" / "ssh").chmod(0o700)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd puts those who have not logged in yet
    with (folder / "log").open("wb") as log:
        command = [sshd(), "-D", "-e", "-f", str(folder / "sshd_config")]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(port, server, folder / "log")
        yield {"DOCKER_HOST": "ssh://engine", "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    finally:
        server.terminate()
        server.wait(timeout=20)


def sshd() -> str:
    return shutil.which("sshd") or "/usr/sbin/sshd"  # which only root has on the PATH


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())


def test_a_job_runs_on_an_engine_that_ssh_reaches(engine: Engine, project: Project, over_ssh: dict[str, str]) -> None:
    done = project.run("--target", "docker", "tiny.yaml", environment=over_ssh)
    assert done.exit_code == 0, done.stderr
    assert verify(done.run) == ()
    lines = (done.run / "logs" / "console.log").read_text().splitlines()
    assert "test/loss" in lines[-2]
    assert [*lines, str(done.run)] == done.stdout.splitlines()  # all of it came through ssh
    assert engine.names() == []


def test_the_commands_for_containers_reach_it_too(engine: Engine, project: Project, over_ssh: dict[str, str]) -> None:
    running = project.start("--target", "docker", "trouble.yaml", "--trouble=waits", environment=over_ssh)
    try:
        until = time.monotonic() + 60
        while not (there := json.loads(project.run("ps", "--target", "docker", "--json", environment=over_ssh).stdout)):
            assert time.monotonic() < until
            time.sleep(0.5)
        [run] = [entry["run"] for entry in there]
        while "waiting" not in (shown := project.run("logs", run, environment=over_ssh)).stdout:
            assert time.monotonic() < until, shown.stderr
            time.sleep(0.5)
        stopped = project.run("stop", run, environment=over_ssh)
        assert stopped.exit_code == 0, stopped.stderr
        assert running.wait(timeout=60) == 143
    finally:
        running.kill()
        running.communicate()
    assert engine.names() == []
