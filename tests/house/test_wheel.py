"""What `pip install innereye-runtime` brings: both import roots, the schemas, the typing marker, no tests."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(project: Path, out: Path) -> list[str]:
    """The names in the wheel of a project, built from its folder without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=project, check=True, capture_output=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def test_every_module_is_in_the_wheel(wheel: list[str]) -> None:
    modules = {str(path.relative_to(ROOT / "runtime")) for path in (ROOT / "runtime").rglob("*.py")}
    assert modules <= set(wheel)


@pytest.mark.parametrize("name", ["schema/manifest.schema.json", "schema/run.schema.json", "py.typed"])
def test_what_is_no_module_is_in_the_wheel(wheel: list[str], name: str) -> None:
    assert f"innereye_runtime/{name}" in wheel


def test_only_the_two_roots_and_the_metadata_are_in_the_wheel(wheel: list[str]) -> None:
    roots = {name.split("/")[0] for name in wheel}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"innereye_runtime", "InnerEye"}


def test_the_emulator_is_a_wheel_of_its_own(tmp_path: Path) -> None:
    source = ROOT / "emulator" / "src"
    names = set(build(ROOT / "emulator", tmp_path))
    modules = {str(path.relative_to(source)) for path in source.rglob("*.py")}
    assert modules | {"azureml_emulator/py.typed"} == {name for name in names if name.startswith("azureml_emulator/")}
    others = {name.partition(".dist-info/")[2] for name in names if not name.startswith("azureml_emulator/")}
    assert others == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}


def test_the_light_installation_needs_no_heavy_package(wheel: list[str]) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert names <= {"param", "rich", "ruamel.yaml"}
