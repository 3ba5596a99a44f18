"""The image: what it promises of itself, what a change of code rewrites, and that a build's secrets stay out of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.targets.docker.conftest import ROOT, Engine
from tests.wheels import build_wheel, install_wheel

from innereye_runtime.errors import ImageError, UsageError
from innereye_runtime.targets.docker.build_network import BuildNetwork, pip_settings
from innereye_runtime.targets.docker.image import build, info, plan_build
from innereye_runtime.targets.docker.source_digest import source_digest
from innereye_runtime.targets.source_tree import write_source_tree

IMAGE = "innereye-runtime:cpu"
HARDENED = ("--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL", "--security-opt=no-new-privileges")


def checkout(to: Path) -> Path:
    """A copy of what an image is made of."""
    listed = (ROOT / ".dockerignore").read_text()
    for name in [*re.findall(r"^!(.+)$", listed, flags=re.MULTILINE), ".dockerignore", "Dockerfile.gpu"]:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "*.whl"))
        else:
            shutil.copy2(ROOT / name, to / name)
    return to


def test_it_runs_as_anybody_with_nothing_to_write_and_no_network(engine: Engine) -> None:
    code = "import pytorch_lightning, torch, getpass; print(getpass.getuser(), int(torch.ones(3).sum()))"
    done = engine("run", "--rm", *HARDENED, "--user=12345:54321", "--entrypoint=python", IMAGE, "-c", code)
    assert done.stdout == "innereye 3\n"
    helped = engine("run", "--rm", *HARDENED, "--user=12345:54321", IMAGE, "--help")
    assert "innereye-runtime" in helped.stdout


def test_it_has_what_azureml_needs_and_no_tool_of_the_build(engine: Engine) -> None:
    shown = json.loads(engine("inspect", IMAGE).stdout)[0]["Config"]
    assert shown["Entrypoint"] == ["/usr/bin/tini", "--", "innereye-runtime"]
    assert shown["WorkingDir"] == "/workspace"
    script = (
        "set -e; test -x /bin/bash; innereye-runtime --help > /dev/null; ! python -m pip --version; ls -A /opt/tools"
    )
    done = engine("run", "--rm", "--entrypoint=bash", IMAGE, "-c", script)
    assert done.stdout == ""


def test_its_bytecode_is_compiled(engine: Engine) -> None:
    code = (
        "import importlib.util, innereye_runtime.training.lifecycle.steps as s, torch;"
        "from pathlib import Path;"
        "print([Path(importlib.util.cache_from_source(m.__file__)).is_file() for m in (s, torch)])"
    )
    assert engine("run", "--rm", "--entrypoint=python", IMAGE, "-c", code).stdout == "[True, True]\n"


def test_its_labels_say_what_it_was_made_of(engine: Engine) -> None:
    found = info(IMAGE)
    assert found["variant"] == "cpu"
    assert found["base"] == "debian:bookworm-slim"
    assert found["manifest_schema"] == "1"
    assert re.fullmatch(r"[0-9a-f]{64}", found["requirements"])
    assert re.fullmatch(r"([0-9a-f]{40}|unknown)(-dirty)?", found["commit"])
    labels = json.loads(engine("inspect", IMAGE).stdout)[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.title"] == "innereye-runtime"


def test_a_change_of_code_rewrites_less_than_a_megabyte(engine: Engine, tmp_path: Path) -> None:
    copy = checkout(tmp_path)
    package = copy / "runtime" / "innereye_runtime"
    request = plan_build(variant="cpu", root=copy)
    rooms = sorted(path.parent.name for path in package.glob("*/__init__.py"))
    before: list[str] = []
    with (tmp_path / "log").open("wb") as log:
        for room in ["", *rooms]:
            if room:
                module = package / room / "__init__.py"
                module.write_text(f"{module.read_text()}# {room}\n")
            build(request, output=log.fileno())
            layers = json.loads(engine("inspect", "-f", "{{json .RootFS.Layers}}", IMAGE).stdout)
            if room:
                changed = [index for index, layer in enumerate(layers) if layer != before[index]]
                assert len(changed) == 2, room  # the room's own, and the list of files
                assert sum(sizes(engine)[index] for index in changed) < 1_000_000, room
            before = layers


def sizes(engine: Engine) -> list[int]:
    """The bytes of each layer of the image, the lowest first, without those that are empty."""
    lines = engine("history", "--format={{json .}}", "--human=false", IMAGE).stdout.splitlines()
    entries = [json.loads(line) for line in reversed(lines)]
    return [int(entry["Size"]) for entry in entries if not _holds_no_file(entry["CreatedBy"])]


def _holds_no_file(created_by: str) -> bool:
    return created_by.startswith(("ARG", "ENV", "LABEL", "SHELL", "ENTRYPOINT", "CMD"))


def test_the_secrets_of_a_build_are_in_no_layer(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy").mkdir()
    copy = checkout(tmp_path / "copy")
    password = "hunter2-in-the-build"
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"http://user:{password}@127.0.0.1:9/simple")
    monkeypatch.setenv("no_proxy", f"127.0.0.1,{password}")
    module = copy / "runtime" / "innereye_runtime" / "errors.py"
    module.write_text(f"{module.read_text()}# changed\n")
    with (tmp_path / "log").open("wb") as log:
        build(plan_build(variant="cpu", root=copy), output=log.fileno())
    assert password not in (tmp_path / "log").read_text(errors="replace")
    assert password not in engine("history", "--no-trunc", IMAGE).stdout + engine("inspect", IMAGE).stdout
    places = "/opt/venv/lib/python3.11/site-packages/innereye_runtime /etc /root /run /tmp /build /var"
    search = f"! grep -rlsF {password} {places}"
    engine("run", "--rm", "--entrypoint=bash", IMAGE, "-c", search)


def test_a_base_that_is_not_there_is_told(engine: Engine, tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("wb") as log,
        pytest.raises(ImageError, match="its base nowhere:1 is not on this engine"),
    ):
        build(plan_build(variant="cpu", base="nowhere:1"), output=log.fileno())


def test_an_installed_wheel_builds_the_image_of_its_checkout(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    commands = install_wheel(build_wheel(tmp_path), tmp_path / "environment")
    with (tmp_path / "log").open("wb") as log:  # another test may have built one from other code
        build(plan_build(variant="cpu"), output=log.fileno())
    before = json.loads(engine("inspect", "-f", "{{json .RootFS.Layers}}", IMAGE).stdout)
    command = [str(commands / "innereye-run"), "image", "build", "--variant", "cpu", "--json"]
    done = subprocess.run(command, cwd=tmp_path / "empty", capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["same_source_as_here"] is True
    assert json.loads(engine("inspect", "-f", "{{json .RootFS.Layers}}", IMAGE).stdout) == before
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_folder_that_is_not_a_source_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no Dockerfile\.gpu"):
        plan_build(variant="cpu", root=tmp_path)


def test_a_tree_inside_of_another_repository_does_not_have_its_commit(tmp_path: Path) -> None:
    git = ("git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.com")
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "another project"], check=True)
    tree = write_source_tree(tmp_path / "temporary")
    assert plan_build(variant="cpu", root=tree).commit == "unknown"
    subprocess.run([*git, "add", "-f", "temporary"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "a checkout"], check=True)
    assert re.fullmatch(r"[0-9a-f]{40}", plan_build(variant="cpu", root=tree).commit)


def test_equal_checkouts_give_equal_requests(tmp_path: Path) -> None:
    request = plan_build(variant="gpu")
    assert request == plan_build(variant="gpu")
    assert request.tags == ("innereye-runtime:gpu", "innereye-runtime:latest")
    argv = request.argv("docker", {"ca.pem": Path("/x/ca.pem")})
    assert "--build-arg=VARIANT=gpu" in argv
    assert "--secret=id=ca.pem,src=/x/ca.pem" in argv
    (tmp_path / "a.py").write_text("x = 1\n")
    before = source_digest(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert source_digest(tmp_path) != before


def test_the_locks_hold_what_was_tested() -> None:
    tested = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), flags=re.MULTILINE))
    tested = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in tested.items()}
    for variant in ("cpu", "gpu"):
        text = (ROOT / "images" / f"requirements-{variant}.txt").read_text()
        locked = dict(re.findall(r"^([\w.-]+)==(\S+)", text, flags=re.MULTILINE))
        assert "torch" not in locked
        differing = {name for name, version in locked.items() if tested.get(name, version) != version}
        assert differing == set()
        assert all("--hash=sha256:" in block for block in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:])


def test_pips_settings_become_secrets_and_files_of_this_machine_do_not(tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_text("certificates")
    settings = pip_settings({"PIP_INDEX_URL": "https://user:pw@index/simple", "PIP_CERT": str(tmp_path / "bundle.pem")})
    assert settings["index-url"] == "https://user:pw@index/simple"
    network = BuildNetwork(
        pip={"index-url": "https://index/simple", "extra-index-url": "file:///x https://y/simple", "cert": "/x.pem"},
        proxies={"https_proxy": "http://it's:3128"},
        certificates=tmp_path / "bundle.pem",
    )
    secrets = network.write_secrets(tmp_path)
    assert (
        secrets["pip.conf"].read_text()
        == "[global]\nindex-url = https://index/simple\nextra-index-url = https://y/simple\n"
    )
    assert secrets["pip.conf"].stat().st_mode & 0o777 == 0o600
    shown = subprocess.run(
        ["sh", "-c", f". {secrets['proxy.env']}; echo $https_proxy"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == "http://it's:3128\n"
    assert secrets["ca.pem"] == tmp_path / "bundle.pem"
    assert BuildNetwork(pip={}, proxies={}, certificates=None).write_secrets(tmp_path) == {}


def test_wheels_on_disk_are_brought_when_the_pins_name_them(tmp_path: Path) -> None:
    links, folder = tmp_path / "links", tmp_path / "wheels"
    links.mkdir()
    folder.mkdir()
    for name in ("torch-2.13.0+cpu-cp311-x.whl", "torch-2.14.0-cp311-x.whl", "other-1.0-any.whl"):
        (links / name).write_text(name)
    network = BuildNetwork(pip={"find-links": str(links)}, proxies={}, certificates=None)
    pins = '# a comment\ntorch==2.13.0+cpu; platform_machine == "x86_64"\n'
    assert network.download_wheels(pins, folder) == [folder / "torch-2.13.0+cpu-cp311-x.whl"]
    assert [path.name for path in folder.iterdir()] == ["torch-2.13.0+cpu-cp311-x.whl"]
    assert network.download_wheels(pins, folder) == [folder / "torch-2.13.0+cpu-cp311-x.whl"]
