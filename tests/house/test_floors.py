"""Who may import whom. The table is the rule; nothing here runs the code that it judges."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE, EMULATOR = ROOT / "runtime", ROOT / "emulator" / "src"
PACKAGE = "innereye_runtime"

FLOORS = {
    "": 0,  # the package itself: its version, and lazy names for users
    "errors": 0,
    "redaction": 0,
    "diagnostics": 0,
    "manifest": 1,
    "data": 1,
    "figures": 1,
    "parameters": 2,
    "api": 2,
    "introspection": 2,
    "compat": 2,  # what old code needs, beside what it adapts; no circle of modules joins them
    "run": 2,
    "packages": 2,  # requirements of the user's code, read and compared
    "job": 3,
    "report": 3,
    "launch": 4,
    "targets": 4,
    "sweep": 4,  # many jobs, each started by its target; no circle of modules joins the two
    "training": 4,
    "cli": 5,
    "entrypoint": 5,
    "examples": 5,  # what a user could have written
}
LOOKS_UP = {("__init__.py", "api"), ("__init__.py", "figures")}  # the public names, inside `__getattr__`
APART = [{"targets", "training"}, {"cli", "entrypoint"}, {"targets", "entrypoint"}, {"launch", "targets"}]
HEAVY = {"torch", "pytorch_lightning", "torchmetrics", "numpy", "docker", "azure", "tensorboard", "PIL", "nilearn"}
HEAVY |= {"optuna"}
LIGHT_ROOMS = (
    "errors",
    "diagnostics",
    "manifest",
    "data",
    "parameters",
    "packages",
    "sweep",
    "run",
    "job",
    "report",
    "targets",
    "cli",
)
"""Where no heavy package is imported at module level, so that a command starts at once."""


def modules() -> list[Path]:
    return sorted(path for path in (SOURCE / PACKAGE).rglob("*.py"))


def room_of(module: Path) -> str:
    first = module.relative_to(SOURCE / PACKAGE).parts[0]
    return "" if first == "__init__.py" else first.removesuffix(".py")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere below `tree`, inside functions too, but not for type checking alone."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from (name for part in node.orelse for name in imports(part))
                continue
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(name), level=0, names=names):
                yield name
                yield from (f"{name}.{alias.name}" for alias in names)
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: relative imports hide the room that is imported")
        yield from imports(node)


def at_import(tree: ast.Module) -> Iterator[str]:
    """What is imported when the module is: everything outside functions."""

    class Outside(ast.NodeTransformer):
        def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
            return None

        def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
            return None

    return imports(Outside().visit(tree))


def rooms_imported(module: Path) -> set[str]:
    names = {name.split(".")[1] for name in imports(ast.parse(module.read_text())) if name.startswith(f"{PACKAGE}.")}
    return {name for name in names if name in FLOORS}


def dotted(module: Path) -> str:
    return ".".join(module.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(tree: ast.Module, names: set[str]) -> set[str]:
    """Those of `names` that `tree` imports; a package counts only where one of its own names is taken from it."""
    found = set(imports(tree)) & names
    packages = {node.module: node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    return {name for name in found if not _gives_modules_alone(packages.get(name), names)}


def _gives_modules_alone(node: ast.ImportFrom | None, names: set[str]) -> bool:
    return node is not None and all(f"{node.module}.{alias.name}" in names for alias in node.names)


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Each circle of imports that a walk in depth finds, as the modules on it."""
    found: list[list[str]] = []
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> None:
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                walk(other, [*path, name])
            done.add(name)

    for name in sorted(graph):
        walk(name, [])
    return found


def label(module: Path) -> str:
    return str(module.relative_to(SOURCE / PACKAGE))


@pytest.mark.parametrize("module", modules(), ids=label)
def test_nothing_looks_up(module: Path) -> None:
    room = room_of(module)
    assert room in FLOORS, f"{label(module)}: no floor is known for '{room}'"
    above = {other for other in rooms_imported(module) if FLOORS[other] > FLOORS[room]}
    assert {other for other in above if (label(module), other) not in LOOKS_UP} == set()


@pytest.mark.parametrize("module", modules(), ids=label)
def test_rooms_that_stay_apart_never_import_each_other(module: Path) -> None:
    room = room_of(module)
    found = {other for pair in APART if room in pair for other in pair - {room} if other in rooms_imported(module)}
    assert found == set()


def test_there_is_no_circle_of_imports() -> None:
    names = {dotted(module) for module in modules()} - {PACKAGE}
    graph = {dotted(m): imported_modules(ast.parse(m.read_text()), names) for m in modules()}
    graph.pop(PACKAGE)  # its names for users are lazy; `from innereye_runtime import __version__` comes from everywhere
    assert circles(graph) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]


def test_the_submitting_side_never_imports_the_running_side() -> None:
    # `report` writes a page from files; it is the one thing of the running side that the command line does by itself.
    for module in modules():
        if room_of(module) in ("cli", "targets"):
            assert rooms_imported(module) & {"training", "entrypoint"} == set(), label(module)


@pytest.mark.parametrize("module", [m for m in modules() if room_of(m) in LIGHT_ROOMS], ids=label)
def test_light_rooms_import_nothing_heavy_at_module_level(module: Path) -> None:
    assert {name.split(".")[0] for name in at_import(ast.parse(module.read_text()))} & HEAVY == set()


def test_the_runtime_and_the_emulator_import_nothing_of_each_other() -> None:
    for root, others in ((SOURCE, ("azureml_emulator",)), (EMULATOR, (PACKAGE, "InnerEye"))):
        found = sorted(root.rglob("*.py"))
        assert len(found) > 20
        for module in found:
            text = module.read_text()  # so that a name for `import_module` counts too
            assert [name for name in others if re.search(rf"\b{name}\b", text)] == [], module


def test_no_modules_of_the_emulator_import_each_other_in_a_circle() -> None:
    """Imports for type checking alone count too: what needs the other's types belongs below it, or beside it."""
    files = {_dotted(file): file for file in EMULATOR.rglob("*.py")}
    graph = {
        name: {other for node in ast.walk(ast.parse(file.read_text())) for other in _imported_by(node)} & files.keys()
        for name, file in files.items()
    }
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the modules
    assert len(order) == len(files)


def _dotted(file: Path) -> str:
    return ".".join(file.relative_to(EMULATOR).with_suffix("").parts).removesuffix(".__init__")


def _imported_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def test_the_docker_target_leaves_the_network_to_the_sdk() -> None:
    network = {"socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "asyncio", "selectors", "_socket"}
    for module in (SOURCE / PACKAGE / "targets" / "docker").rglob("*.py"):
        found = {name for name in imports(ast.parse(module.read_text())) if name.split(".")[0] in network}
        # The SDK's errors are those of requests where the engine is gone; one module knows that.
        if module.name == "client.py":
            found = {name for name in found if not name.startswith("requests.exceptions")}
        assert found == set(), label(module)


def test_the_libraries_of_the_card_do_their_work() -> None:
    for module, library in (("manifest/schema.py", "jsonschema"), ("targets/docker/client.py", "docker")):
        assert library in imports(ast.parse((SOURCE / PACKAGE / module).read_text()))
        assert library not in at_import(ast.parse((SOURCE / PACKAGE / module).read_text()))


def test_the_old_import_root_only_hands_on() -> None:
    roots = [SOURCE / name for name in ("InnerEye", "health_ml", "health_azure")]
    for module in (module for root in roots for module in root.rglob("*.py")):
        classes = [node.name for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.ClassDef)]
        assert classes == [], module
