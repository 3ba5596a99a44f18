"""What `pip install innereye-runtime` installs: both import roots, the schemas, the typing marker, what an image is
built from, no tests."""

from __future__ import annotations

import fnmatch
import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest
from tests.wheels import ROOT, build_wheel, install_wheel

from innereye_runtime.targets import source_tree

CONTEXTS = """\
import sys
from pathlib import Path
import innereye_runtime
from innereye_runtime.targets.azureml.environment import build_context
from innereye_runtime.targets.docker.image import plan_build
from innereye_runtime.targets.source_tree import checkout, find, source_tree, write_source_tree
assert checkout() is None, checkout()
assert find("images/base").is_file() and find("images/README.md").is_file()
write_source_tree(Path("written"))
build_context(Path("azureml"))
with source_tree() as root:
    request = plan_build(variant="cpu", root=root)
assert not root.exists()
print(request.source, request.requirements)
"""


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> list[str]:
    return names_in(wheel_file)


def names_in(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_an_installed_wheel_gives_the_build_contexts_of_the_checkout(wheel_file: Path, tmp_path: Path) -> None:
    commands, empty = install_wheel(wheel_file, tmp_path / "environment"), tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run([commands / "python", "-c", CONTEXTS], cwd=empty, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    from innereye_runtime.targets.azureml.environment import build_context
    from innereye_runtime.targets.docker.image import plan_build

    here = plan_build(variant="cpu")
    assert done.stdout.split() == [here.source, here.requirements]
    ours = digests(source_tree.write_source_tree(tmp_path / "ours"))
    assert digests(empty / "written") == ours
    assert digests(empty / "azureml") == digests(build_context(tmp_path / "context"))
    assert set(ours) == let_through_by_dockerignore()


def digests(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def let_through_by_dockerignore() -> set[str]:
    """The files of the checkout that an engine gets, without wheels on disk and what git ignores."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    tops = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert tops == set(source_tree.PARTS)
    tracked = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    names = tracked or [path.relative_to(ROOT).as_posix() for top in tops for path in _files(ROOT / top)]
    return {name for name in names if name.split("/")[0] in tops and (ROOT / name).is_file()}


def _files(path: Path) -> list[Path]:
    """Those of a checkout that is not under git."""
    found = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return [one for one in found if not fnmatch.fnmatch(one.as_posix(), "*/__pycache__/*") and one.suffix != ".whl"]


def test_every_module_is_in_the_wheel(wheel: list[str]) -> None:
    modules = {str(path.relative_to(ROOT / "runtime")) for path in (ROOT / "runtime").rglob("*.py")}
    assert modules <= set(wheel)


@pytest.mark.parametrize("name", ["schema/manifest.schema.json", "schema/run.schema.json", "py.typed"])
def test_what_is_no_module_is_in_the_wheel(wheel: list[str], name: str) -> None:
    assert f"innereye_runtime/{name}" in wheel


def test_only_the_import_roots_and_the_metadata_are_in_the_wheel(wheel: list[str]) -> None:
    roots = {name.split("/")[0] for name in wheel}
    assert {root for root in roots if not root.endswith(".dist-info")} == {
        "innereye_runtime",
        "InnerEye",
        "health_ml",
        "health_azure",
    }


def test_the_emulator_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    source = ROOT / "emulator" / "src"
    names = set(names_in(build_wheel(tmp_path, ROOT / "emulator")))
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert modules | {"azureml_emulator/py.typed"} == {name for name in names if name.startswith("azureml_emulator/")}
    others = {name.partition(".dist-info/")[2] for name in names if not name.startswith("azureml_emulator/")}
    assert others == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_light_installation_needs_no_heavy_package(wheel: list[str]) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert names <= {"jsonschema", "packaging", "param", "rich", "ruamel.yaml"}
