"""A folder given to `validate`: its manifests, and its containers that no manifest names."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from innereye_runtime.compat.refused import instead_of
from innereye_runtime.diagnostics.diagnostic import Diagnostic, Span
from innereye_runtime.errors import ManifestError
from innereye_runtime.introspection.code_root import code_root
from innereye_runtime.introspection.discovery import Location
from innereye_runtime.introspection.static.class_reader import read
from innereye_runtime.introspection.static.module_files import locate
from innereye_runtime.job.resolve import resolve_job

_SKIPPED: Final = ("outputs", "node_modules", "__pycache__", "site-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    location: Location
    problems: tuple[Diagnostic, ...]
    """At the line of the class, errors first."""

    @property
    def line(self) -> str:
        """The outcome in one line."""
        place = f"{self.location.file}:{self.location.line}: {self.location.class_name}"
        if not self.problems or self.problems[0].severity != "error":
            noted = f" ({self.problems[0].message})" if self.problems else ""
            return f"{place}: valid{noted}"
        first = self.problems[0]
        more = sum(each.severity == "error" for each in self.problems) - 1
        return f"{place}: error[{first.code}]: {first.message}; {first.hint}{f' ({more} more)' if more else ''}"


def manifests_in(folder: Path) -> list[Path]:
    """The manifests in `folder` and below: YAML files that say `schema:` and `container:` or `model:`."""
    found = []
    for path in _files(folder, ".yaml", ".yml"):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        keys = {line.partition(":")[0].strip("'\" ") for line in lines if line[:1].strip() and ":" in line}
        if "schema" in keys and keys & {"container", "model"}:
            found.append(path)
    return found


def containers_in(folder: Path) -> Iterator[Checked]:
    """Each container class in the Python files in `folder` and below, checked as a job of its own."""
    root = code_root(None, folder)
    for file in _files(folder, ".py"):
        parts = file.relative_to(root).with_suffix("").parts
        if not all(part.isidentifier() for part in parts):
            continue
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield from _checked(module, file, root)


def _checked(module: str, file: Path, root: Path) -> Iterator[Checked]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError as error:
        location = Location(module, file.name, file, error.lineno or 1)
        problem = _problem("E309", f"Python can't parse it: {error.msg}", "correct the line", location)
        yield Checked(location=location, problems=(problem,))
        return
    except (OSError, ValueError):
        return
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or not node.bases:
            continue
        location = Location(module, node.name, file, node.lineno)
        found = read(location, (root,))
        gone = _base_not_here(node, tree, file, root) if found.unresolved else ""
        if gone:
            problems = _problems(location, root)
            own = () if any(each.severity == "error" for each in problems) else (_not_here(gone, location),)
            yield Checked(location=location, problems=(*own, *problems))
        elif found.refusal is None and (found.parameters.keys() or _may_be(node)):
            if found.unresolved and not _may_be(node) and "num_epochs" not in found.parameters:
                continue  # a class with a base that can't be read, and nothing that says it is a container
            yield Checked(location=location, problems=_problems(location, root))


def _base_not_here(node: ast.ClassDef, tree: ast.Module, file: Path, root: Path, depth: int = 8) -> str:
    """Where a class has a base, also by way of the user's other classes, that it imports from a module of the toolbox
    or of hi-ml that is not here: `file:line module`; else ''."""
    imports = {alias.asname or alias.name: (each, alias.name) for each in _imports_from(tree) for alias in each.names}
    classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
    for base in node.bases if depth else ():
        name = base.id if isinstance(base, ast.Name) else ""
        if (own := classes.get(name)) is not None and own is not node:
            if gone := _base_not_here(own, tree, file, root, depth - 1):
                return gone
        elif name in imports:
            line, original = imports[name]
            module = str(line.module)
            place = locate(module, (root,))
            if place is None and instead_of(module):
                return f"{file}:{line.lineno} {module}"
            if place is not None and place.file is not None and place.file.is_relative_to(root):
                above = _parsed(place.file)
                further = [each for each in above.body if isinstance(each, ast.ClassDef) and each.name == original]
                if further and (gone := _base_not_here(further[0], above, place.file, root, depth - 1)):
                    return gone
    return ""


def _parsed(file: Path) -> ast.Module:
    """The file's source; nothing of one that can't be parsed, which has a line of its own."""
    try:
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ast.Module(body=[], type_ignores=[])


def _imports_from(tree: ast.Module) -> list[ast.ImportFrom]:
    return [each for each in tree.body if isinstance(each, ast.ImportFrom) and not each.level and each.module]


def _not_here(gone: str, location: Location) -> Diagnostic:
    place, _, module = gone.partition(" ")
    message = f"{place}: the module {module} is not there, which {location.class_name} needs"
    return _problem("E311", message, instead_of(module), location)


def _may_be(node: ast.ClassDef) -> bool:
    """Whether a class with bases that can't be read is most likely a container, by its methods or their names."""
    methods = {each.name for each in node.body if isinstance(each, ast.FunctionDef)}
    if methods & {"create_model", "get_data_module"}:
        return True
    names = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    return any(name.endswith(("Container", "ModelBase", "ScalarModelBase")) for name in names)


def _problems(location: Location, root: Path) -> tuple[Diagnostic, ...]:
    name = f"{location.module}:{location.class_name}"
    text = json.dumps({"schema": 1, "container": {"class": name}})
    try:
        found = resolve_job(text, cwd=root, root=root).warnings
    except ManifestError as error:
        found = error.diagnostics
    span = Span(location.line, 1, location.line, 1)
    placed = [replace(each, span=span, source=str(location.file), lines=()) for each in found]
    return tuple(sorted(placed, key=lambda each: ("error", "warning", "note").index(each.severity)))


def _problem(code: str, message: str, hint: str, location: Location) -> Diagnostic:
    span = Span(location.line, 1, location.line, 1)
    return Diagnostic(code=code, message=message, hint=hint, span=span, source=str(location.file))


def _files(folder: Path, *suffixes: str) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix in suffixes and not any(part in _SKIPPED or part.startswith(".") for part in parts):
            yield path
