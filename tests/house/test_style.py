"""The rules of the house that a linter does not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOTS = (ROOT / "runtime", ROOT / "emulator" / "src")
MODULES = [module for root in ROOTS for module in sorted(root.rglob("*.py"))]

PRINTING = ("innereye_runtime/cli/", "innereye_runtime/entrypoint.py", "azureml_emulator/cli.py")


def label(module: Path) -> str:
    return str(next(module.relative_to(root) for root in ROOTS if module.is_relative_to(root)))


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_a_module_has_at_most_300_lines(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 300


@pytest.mark.parametrize("module", [m for m in MODULES if m.read_text().strip()], ids=label)
def test_a_module_says_in_its_first_line_what_it_is(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_only_the_command_line_and_the_entrypoint_print_or_exit(module: Path) -> None:
    if label(module).startswith(PRINTING):
        return
    body = [node for node in ast.parse(module.read_text()).body if not _is_main_guard(node)]
    calls = [node.func for part in body for node in ast.walk(part) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if ast.unparse(call) in ("print", "exit", "quit", "sys.exit")] == []


@pytest.mark.parametrize("module", MODULES, ids=label)
def test_the_environment_is_not_read_at_import(module: Path) -> None:
    tree = ast.parse(module.read_text())
    top = [node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)]
    read = [ast.unparse(node) for part in top for node in ast.walk(part) if isinstance(node, ast.Attribute)]
    assert not {"os.environ", "os.getenv"} & set(read)


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
