"""The tutorial, from its first command to its last, in a fresh container with a checkout and what the pages ask for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.docs.pages import CHECKOUT, DOCS, ROOT, blocks, check, write_script

from innereye_runtime.targets.docker.build_network import BuildNetwork
from innereye_runtime.targets.docker.endpoint import Address
from innereye_runtime.targets.docker.image import DEFAULT_BASE, building_client

IMAGE = "innereye-runtime-tests:fresh"
DOCKERFILE = f"""\
FROM {DEFAULT_BASE}
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \\
    --mount=type=secret,id=proxy.env set -a; [ ! -f /run/secrets/proxy.env ] || . /run/secrets/proxy.env; set +a; \\
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \\
    ca-certificates docker.io git make nodejs npm python3 python3-venv >/dev/null
"""
"""What the pages say that a reader has: Python with make, Docker's client and Node.js; git, for the checkout."""


@pytest.fixture
def fresh(needs: Callable[..., None], tmp_path: Path) -> list[str]:
    """The command that starts a container of the image, with this machine's network and engine."""
    needs("docker")
    docker, network = building_client(), BuildNetwork.current()
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    if os.geteuid() == 0:
        path = f"{Path(docker).parent}{os.pathsep}{os.environ['PATH']}"
        subprocess.run([ROOT / "images" / "base"], check=True, capture_output=True, env={**environment, "PATH": path})
    (tmp_path / "secrets").mkdir()
    secrets = [f"--secret=id={name},src={file}" for name, file in network.write_secrets(tmp_path / "secrets").items()]
    build = [docker, "build", "--network=host", *secrets, "--tag", IMAGE, "-"]
    subprocess.run(build, input=DOCKERFILE, text=True, env=environment, check=True, capture_output=True)
    return [docker, "run", "--rm", "--init", *options(network, tmp_path), IMAGE]


def options(network: BuildNetwork, folder: Path) -> list[str]:
    """Those of `docker run`. Paths are the same inside, as the engine looks for what a container mounts out here."""
    socket = Path(Address.current().host.removeprefix("unix://"))
    mounted, environment = [folder, socket, *wheels(network)], dict(network.proxies)
    for name in ("index-url", "extra-index-url", "find-links", "trusted-host"):
        words = [word for word in network.pip.get(name, "").split() if not word.startswith("file:")]
        environment[f"PIP_{name.upper().replace('-', '_')}"] = " ".join(words)
    if network.certificates is not None:
        mounted.append(network.certificates)
        names = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        environment |= dict.fromkeys(names, str(network.certificates))
    cache = Path(os.environ.get("PIP_CACHE_DIR") or Path.home() / ".cache" / "pip")
    if cache.is_dir():
        mounted.append(cache)
        environment["PIP_CACHE_DIR"] = str(cache)
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    environment |= {"DOCKER_HOST": f"unix://{socket}", "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    environment |= npm_settings()
    return [
        "--network=host",
        "--ipc=host",
        f"--user={os.getuid()}:{os.getgid()}",
        f"--group-add={socket.stat().st_gid}",
        f"--workdir={folder / CHECKOUT}",
        *(f"--volume={path}:{path}" for path in mounted),
        *(f"--env={name}={value}" for name, value in environment.items() if value),
    ]


def wheels(network: BuildNetwork) -> list[Path]:
    """The folders of wheels that this machine's pip looks into."""
    return [Path(word) for word in network.pip.get("find-links", "").split() if Path(word).is_dir()]


def npm_settings() -> Mapping[str, str]:
    """Where this machine's npm finds its packages, if it has one."""
    try:
        command = ["npm", "config", "get", "registry"]
        return {"npm_config_registry": subprocess.run(command, capture_output=True, text=True).stdout.strip()}
    except OSError:
        return {}


def copy_checkout(folder: Path) -> None:
    """This checkout with its changes, as a repository of its own: what git ignores is not there."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True
    )
    folder.mkdir()
    copy = ["tar", "--create", f"--directory={ROOT}", "--ignore-failed-read", "--null", "--files-from=-"]
    packed = subprocess.run(copy, input=names.stdout, check=True, capture_output=True)
    subprocess.run(["tar", "--extract", f"--directory={folder}"], input=packed.stdout, check=True)
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@localhost"]
    for words in (["init", "-q"], ["add", "--all"], ["commit", "-q", "-m", "The checkout"]):
        subprocess.run([*git, *words], cwd=folder, check=True, capture_output=True)


def tutorial() -> Iterator[Path]:
    """Its pages, each with a link to the next one at its end."""
    page = DOCS / "tutorial" / "first-run.md"
    yield page
    while following := re.search(r"^Next: \[.+\]\((.+)\)\.$", page.read_text(), re.MULTILINE):
        page = page.with_name(following[1])
        yield page


def test_tutorial(fresh: list[str], tmp_path: Path) -> None:
    assert {*tutorial()} == {*(DOCS / "tutorial").iterdir()}
    copy_checkout(tmp_path / CHECKOUT)
    todo = [block for page in tutorial() for block in blocks(page)]
    script = write_script(tmp_path / "steps", todo)
    done = subprocess.run([*fresh, "bash", str(script)], capture_output=True, text=True, errors="replace", timeout=1500)
    check(done, tmp_path / "steps", todo)
