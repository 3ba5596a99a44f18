"""What the Docker target costs over Docker itself, and what an image weighs beside what it can't do without."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tests.benchmarks.commands import ROOT, ROUNDS, innereye_run
from tests.benchmarks.pairs import Row, paired, seconds_of

from innereye_runtime.targets.source_tree import write_source_tree

IMAGE = "innereye-runtime"
LAUNCHER = "< 0.30 s more (relaxed from 0.15 for Docker's SDK)"
ALONE, NOTHING = "innereye-runtime-benchmark:alone", "innereye-runtime-benchmark:nothing"


def docker_with_image(variant: str = "cpu") -> str:
    """The command that talks to the engine, which has this checkout's image from now on."""
    from innereye_runtime.targets.docker.image import building_client

    docker = building_client()
    if os.geteuid() == 0:  # the base, without a registry
        environment = {**os.environ, "PATH": f"{Path(docker).parent}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run([ROOT / "images" / "base"], check=True, env=environment, capture_output=True)
    seconds_of([innereye_run(), "image", "build", f"--variant={variant}"], cwd=ROOT)
    return docker


def launcher() -> list[Row]:
    """`innereye-run --target docker` beside `docker run` with the same image, command, limits and mounts.

    The image's entrypoint does nothing: with a real job's seconds around it, a tenth of one would not be seen.
    """
    docker = docker_with_image()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "Dockerfile").write_text(f'FROM {IMAGE}:cpu\nENTRYPOINT ["/bin/true"]\n')
        subprocess.run([docker, "build", "-q", f"--tag={NOTHING}", folder], check=True, capture_output=True)
        manifest = root / "manifest.yaml"
        manifest.write_text(
            "schema: 1\ncontainer: {class: HelloContainer}\n"
            f"compute: {{target: docker, shm_size: 1g, docker: {{image: '{NOTHING}', memory: 2g}}}}\n"
        )
        (root / "outputs").mkdir()

        def theirs() -> float:
            run = Path(tempfile.mkdtemp(dir=root / "outputs"))
            bare = [docker, "run", "--rm", "--read-only", "--tmpfs=/tmp:rw,exec", "--cap-drop=ALL", "--pids-limit=4096"]
            bare += [f"--user={os.getuid()}:{os.getgid()}", "--security-opt=no-new-privileges", f"--workdir={root}"]
            bare += ["--memory=2g", "--memory-swap=2g", "--shm-size=1g", "--env=NVIDIA_VISIBLE_DEVICES=void"]
            bare += [f"--mount=type=bind,src={root},dst={root},readonly", f"--mount=type=bind,src={run},dst={run}"]
            command = ["--target=docker", f"--run-folder={run}", f"--code-root={root}", str(manifest)]
            return seconds_of([*bare, NOTHING, *command], cwd=root)

        ours, other = paired(lambda: seconds_of([innereye_run(), str(manifest)], cwd=root), theirs, rounds=ROUNDS)
    subprocess.run([docker, "rmi", NOTHING], check=True, capture_output=True)
    what = "a job that does nothing, by the Docker target"
    theirs_is = "`docker run`, same image and command"
    return [Row(what=what, other=theirs_is, unit="s", ours=ours, theirs=other, target=LAUNCHER)]


def image_size(variant: str = "cpu") -> list[Row]:
    """The image beside one with its base, Python, torch and Lightning alone."""
    from innereye_runtime.targets.docker.build_network import BuildNetwork
    from innereye_runtime.targets.docker.image import info

    docker = docker_with_image(variant)
    pins = (ROOT / "images" / f"torch-{variant}.txt").read_text()
    with tempfile.TemporaryDirectory() as folder:
        network = BuildNetwork.current()
        (wheels := Path(folder) / "wheels").mkdir()
        network.download_wheels(pins, wheels)
        (Path(folder) / "torch.txt").write_text(pins)
        (Path(folder) / "Dockerfile").write_text(ALONE_DOCKERFILE)
        (secrets := Path(folder) / "secrets").mkdir()
        command = [docker, "build", "--network=host", f"--tag={ALONE}", folder]
        command += [f"--secret=id={name},src={path}" for name, path in network.write_secrets(secrets).items()]
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, env=environment)
    sizes = [float(info(image)["size_bytes"]) / 1e6 for image in (f"{IMAGE}:{variant}", ALONE)]
    subprocess.run([docker, "rmi", ALONE], check=True, capture_output=True)
    row = Row(
        what=f"the {variant.upper()} image", other="base, Python, torch and Lightning alone", unit="MB",
        ours=sizes[:1], theirs=sizes[1:], target="<= 1.10" if variant == "cpu" else "<= 1.05",
    )  # fmt: skip
    return [row]


ALONE_DOCKERFILE = """\
FROM debian:bookworm-slim
COPY torch.txt /
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=bind,source=wheels,target=/wheels \\
    --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem --mount=type=secret,id=proxy.env \\
    set -a; [ ! -f /run/secrets/proxy.env ] || . /run/secrets/proxy.env; \\
    [ ! -f /run/secrets/pip.conf ] || PIP_CONFIG_FILE=/run/secrets/pip.conf; \\
    [ ! -f /run/secrets/ca.pem ] || PIP_CERT=/run/secrets/ca.pem; set +a; \\
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 python3-venv \\
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && python3 -m venv /opt/venv \\
    && /opt/venv/bin/pip install -q --find-links /wheels -r /torch.txt pytorch-lightning==2.6.6
"""


def rebuild() -> list[Row]:
    """The seconds of an image build after one line of code has changed, beside the whole build of the code's layers."""
    docker_with_image()
    with tempfile.TemporaryDirectory() as folder:
        copy = write_source_tree(Path(folder) / "source")
        module = copy / "runtime" / "innereye_runtime" / "training" / "steps.py"
        build = [innereye_run(), "image", "build", "--variant=cpu", f"--source={copy}"]
        seconds_of(build, cwd=copy)
        took: list[float] = []
        for number in range(5):
            module.write_text(f"{module.read_text()}# {number}\n")
            took.append(seconds_of(build, cwd=copy))
    return [
        Row(
            what="an image build after a change of code", other="the 10 s that it may take", unit="s",
            ours=took, theirs=[10.0] * len(took), target="< 1.00",
        )
    ]  # fmt: skip
