"""What a name means in a module's source, followed through imports into other modules; nothing is imported."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from innereye_runtime.introspection.static.module_files import ModuleFile, locate

NOT_ANALYSED_PACKAGES: Final = sys.stdlib_module_names | {
    "lightning",
    "numpy",
    "pandas",
    "param",
    "pytorch_lightning",
    "sklearn",
    "torch",
}
"""Packages whose modules are not opened: what matters of them is known by name."""

OWN_PACKAGES: Final = tuple(f"innereye_runtime.{name}." for name in ("api", "parameters", "compat"))
"""The runtime's own base classes and parameter types; classes elsewhere are the user's."""


@dataclass(frozen=True, slots=True)
class ExternalSymbol:
    """Something outside the source that is read, by its full dotted name: `param.Integer`, `builtins.list`."""

    name: str


@dataclass(frozen=True, slots=True)
class ModuleName:
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class SourceClass:
    module: SourceModule
    node: ast.ClassDef

    @property
    def name(self) -> str:
        return self.node.name


@dataclass(frozen=True, slots=True)
class SourceValue:
    """A name bound to an expression."""

    module: SourceModule
    node: ast.expr


@dataclass(frozen=True, slots=True)
class _Imported:
    module: str
    name: str


Resolution = ExternalSymbol | ModuleName | SourceClass | SourceValue
_Binding = Resolution | _Imported


@dataclass(slots=True, eq=False)
class SourceModule:
    """One parsed module: its top-level names and what each is bound to last."""

    place: ModuleFile
    names: dict[str, _Binding] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    """Modules of `from x import *`."""
    problem: str = ""
    """Why it could not be parsed."""
    broken: bool = False
    """Python will not parse it either."""

    @property
    def package(self) -> str:
        return self.place.name if self.place.folders else self.place.name.rpartition(".")[0]


class SourceModules:
    """The modules that were needed so far. A module is parsed once."""

    def __init__(self, search_path: Sequence[Path]) -> None:
        self._search_path = tuple(search_path)
        self._modules: dict[str, SourceModule | None] = {}

    @property
    def code_root(self) -> Path | None:
        """The root of the user's code: what is searched first."""
        return self._search_path[0] if self._search_path else None

    def module(self, name: str, file: Path | None = None) -> SourceModule | None:
        """The module, or None where it has no source here. `file`: where it is, if that is known."""
        if name not in self._modules:
            place = locate(name, self._search_path) if file is None else _placed(name, file)
            self._modules[name] = None if place is None else _parsed(place)
        return self._modules[name]

    def resolve(self, module: SourceModule, expression: ast.expr) -> Resolution | None:
        """What a name or a dotted name stands for in `module`; None where the source does not tell."""
        if isinstance(expression, ast.Name):
            return self.named(module, expression.id)
        if isinstance(expression, ast.Attribute):
            return self._attribute(self.resolve(module, expression.value), expression.attr)
        return None

    def named(self, module: SourceModule, name: str, depth: int = 0) -> Resolution | None:
        """What the top-level `name` of `module` stands for, followed through imports."""
        if depth > 20:
            return None
        binding = module.names.get(name)
        if isinstance(binding, _Imported):
            return self._imported(binding, depth)
        if isinstance(binding, SourceValue) and isinstance(binding.node, ast.Name | ast.Attribute):
            return self.resolve(module, binding.node) if _first(binding.node) != name else None
        if binding is not None:
            return binding
        for star in module.stars:
            other = self.module(star)
            found = self.named(other, name, depth + 1) if other is not None else None
            if found is not None and not (isinstance(found, ExternalSymbol) and found.name.startswith("builtins.")):
                return found
        return ExternalSymbol(f"builtins.{name}") if hasattr(builtins, name) else None

    def _imported(self, binding: _Imported, depth: int) -> Resolution | None:
        if binding.module.partition(".")[0] in NOT_ANALYSED_PACKAGES:
            return ExternalSymbol(f"{binding.module}.{binding.name}")
        source = self.module(binding.module)
        if source is not None:
            found = self.named(source, binding.name, depth + 1)
            if found is not None:
                return found
        below = f"{binding.module}.{binding.name}"
        return ModuleName(below) if locate(below, self._search_path) is not None else None

    def _attribute(self, owner: Resolution | None, name: str) -> Resolution | None:
        match owner:
            case ExternalSymbol():
                return ExternalSymbol(f"{owner.name}.{name}")
            case ModuleName() if owner.name.partition(".")[0] in NOT_ANALYSED_PACKAGES:
                return ExternalSymbol(f"{owner.name}.{name}")
            case ModuleName():
                return self._imported(_Imported(owner.name, name), 0)
            case _:
                return None


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, with those in `if`, `try` and `with` blocks in their place."""
    for statement in body:
        yield statement
        match statement:
            case ast.If():
                yield from statements([*statement.body, *statement.orelse])
            case ast.Try():
                handlers = [inner for handler in statement.handlers for inner in handler.body]
                # The happy path comes last: it is what is bound where both are.
                yield from statements([*handlers, *statement.body, *statement.orelse, *statement.finalbody])
            case ast.With():
                yield from statements(statement.body)


def parse(file: Path) -> ast.Module:
    """The source of a file. One that is read again and has not changed is not parsed again: every class has the
    runtime's own among its bases.

    Raises:
        OSError: it can't be read.
        SyntaxError: it is not Python.
        ValueError: nor is it text.
    """
    status = file.stat()
    return _tree(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=128)
def _tree(file: Path, changed: int, size: int) -> ast.Module:
    return ast.parse(file.read_bytes())


def _parsed(place: ModuleFile) -> SourceModule:
    module = SourceModule(place)
    if place.file is None:
        return module
    try:
        tree = parse(place.file)
    except SyntaxError as error:
        module.problem = f"{place.file}:{error.lineno}: {error.msg}"
        module.broken = True
        return module
    except (OSError, ValueError) as error:
        module.problem = f"{place.file} can't be read: {error}"
        return module
    for statement in statements(tree.body):
        _bind(module, statement)
    return module


def _bind(module: SourceModule, statement: ast.stmt) -> None:
    match statement:
        case ast.ClassDef():
            module.names[statement.name] = SourceClass(module, statement)
        case ast.FunctionDef():
            module.names[statement.name] = ExternalSymbol(f"{module.place.name}.{statement.name}")
        case ast.Import():
            for alias in statement.names:
                name = alias.asname or alias.name.partition(".")[0]
                module.names[name] = ModuleName(alias.name if alias.asname else name)
        case ast.ImportFrom():
            source = _absolute(module, statement)
            for alias in statement.names:
                if alias.name == "*":
                    module.stars.append(source)
                else:
                    module.names[alias.asname or alias.name] = _Imported(source, alias.name)
        case ast.Assign(targets=[ast.Name(id=name)]):
            module.names[name] = SourceValue(module, statement.value)
        case ast.AnnAssign(target=ast.Name(id=name)) if statement.value is not None:
            module.names[name] = SourceValue(module, statement.value)


def _absolute(module: SourceModule, statement: ast.ImportFrom) -> str:
    if not statement.level:
        return statement.module or ""
    package = module.package.split(".")
    return ".".join([*package[: len(package) - statement.level + 1], *([statement.module] if statement.module else [])])


def _placed(name: str, file: Path) -> ModuleFile:
    return ModuleFile(name=name, file=file, folders=(file.parent,) if file.name == "__init__.py" else ())


def _first(expression: ast.expr) -> str:
    while isinstance(expression, ast.Attribute):
        expression = expression.value
    return expression.id if isinstance(expression, ast.Name) else ""
