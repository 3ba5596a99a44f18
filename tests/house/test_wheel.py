"""What `pip install innereye-runtime` brings: both import roots, the schemas, the typing marker, no tests."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in the wheel, built from this folder without a network."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    with zipfile.ZipFile(next(out.glob("*.whl"))) as archive:
        return archive.namelist()


def test_every_module_is_in_the_wheel(wheel: list[str]) -> None:
    modules = {str(path.relative_to(ROOT / "runtime")) for path in (ROOT / "runtime").rglob("*.py")}
    assert modules <= set(wheel)


@pytest.mark.parametrize("name", ["schema/manifest.schema.json", "schema/run.schema.json", "py.typed"])
def test_what_is_no_module_is_in_the_wheel(wheel: list[str], name: str) -> None:
    assert f"innereye_runtime/{name}" in wheel


def test_only_the_two_roots_and_the_metadata_are_in_the_wheel(wheel: list[str]) -> None:
    roots = {name.split("/")[0] for name in wheel}
    assert {root for root in roots if not root.endswith(".dist-info")} == {"innereye_runtime", "InnerEye"}


def test_the_light_installation_needs_no_heavy_package(wheel: list[str]) -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.split(">")[0] for requirement in project["dependencies"]}
    assert names <= {"param", "rich", "ruamel.yaml"}
