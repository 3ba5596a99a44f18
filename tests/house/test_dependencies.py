"""What the code imports is asked for in pyproject.toml, and what is asked for is pinned in constraints.txt."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EMULATOR = tomllib.loads((ROOT / "emulator" / "pyproject.toml").read_text())["project"]
OWN = {"innereye_runtime", "InnerEye", "health_ml", "health_azure", "azureml_emulator", "tests"}
BROUGHT_BY_THE_USER = {"matplotlib", "pytest"}
"""A figure of matplotlib is taken where the user made one; the fixtures of the emulator are for pytest."""
DISTRIBUTIONS = {
    "PIL": "pillow",
    "azure.ai": "azure-ai-ml",
    "azure.core": "azure-core",
    "azure.identity": "azure-identity",
    "azure.storage": "azure-storage-blob",
    "mlflow": "mlflow-skinny",
    "lightning_fabric": "pytorch-lightning",
    "pytorch_lightning": "pytorch-lightning",
    "ruamel": "ruamel.yaml",
}


def requirements(project: dict[str, Any] = PROJECT) -> set[str]:
    """The names of the distributions that are asked for, in all extras."""
    lists = [project["dependencies"], *project.get("optional-dependencies", {}).values()]
    return {re.split(r"[\[<>=;~! ]", line)[0] for lines in lists for line in lines} - {"innereye-runtime"}


def imported(module: Path) -> set[str]:
    """The distributions that a module imports from, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    found = set()
    for name in names:
        top, *rest = name.split(".")
        if top not in sys.stdlib_module_names and top not in OWN:
            found.add(DISTRIBUTIONS.get(f"{top}.{rest[0]}" if top == "azure" else top, top))
    return found - BROUGHT_BY_THE_USER


@pytest.mark.parametrize(
    "module", sorted((ROOT / "runtime").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT / "runtime"))
)
def test_what_a_module_imports_is_asked_for(module: Path) -> None:
    assert imported(module) <= requirements()


def test_what_the_emulator_imports_is_asked_for() -> None:
    for module in (ROOT / "emulator" / "src").rglob("*.py"):
        assert imported(module) <= requirements(EMULATOR), module


def test_what_the_light_rooms_import_comes_with_the_light_installation() -> None:
    light = {re.split(r"[<>=]", line)[0] for line in PROJECT["dependencies"]}
    for room in ("manifest", "job"):
        for module in (ROOT / "runtime" / "innereye_runtime" / room).rglob("*.py"):
            assert imported(module) <= light, module


def test_what_is_asked_for_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert {name.lower() for name in requirements() | requirements(EMULATOR)} - pinned == set()


def test_a_pin_is_an_exact_public_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line)] == []
