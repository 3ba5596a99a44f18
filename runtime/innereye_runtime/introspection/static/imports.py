"""The imports of a source file that Python would not find here; nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from innereye_runtime.introspection.static.module_files import locate
from innereye_runtime.introspection.static.resolver import NOT_ANALYSED_PACKAGES, SourceModules, parse

OURS: Final = ("InnerEye", "health_ml", "health_azure", "innereye_runtime")
"""The packages whose modules come with this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    line: int
    module: str
    name: str
    """Of what is imported from the module; '': the module itself is missing."""
    kind: Literal["ours", "user", "package"]
    """Whose module it would be: one of `OURS`, one of the user's own code, or one of a package that is to be
    installed.
    """


def missing_imports(module: str, file: Path, search_path: Sequence[Path]) -> list[Missing]:
    """Those that stand at the top of `file`, outside of `try` and of `if`, in source order."""
    try:
        tree = parse(file)
    except (OSError, SyntaxError, ValueError):
        return []
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    found: list[Missing] = []
    modules = SourceModules(search_path)
    for line, wanted, name in _imports(tree, package):
        top = wanted.partition(".")[0]
        if top in NOT_ANALYSED_PACKAGES or not wanted:
            continue
        if locate(wanted, search_path) is None:
            found.append(Missing(line=line, module=wanted, name="", kind=_kind(wanted, package, search_path)))
        elif top in OURS and name and name != "*":
            source = modules.module(wanted)
            below = locate(f"{wanted}.{name}", search_path)
            if source is not None and below is None and modules.named(source, name) is None:
                found.append(Missing(line=line, module=wanted, name=name, kind="ours"))
    return found


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of each import; of `import a.b` the name is ''."""
    for node in tree.body:
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name, "") for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield from ((node.lineno, module, alias.name) for alias in node.names)
            case ast.ImportFrom(level=int(level)):
                parts = package.split(".") if package else []
                above = parts[: len(parts) - level + 1]
                yield node.lineno, ".".join([*above, *([node.module] if node.module else [])]), ""


def _kind(module: str, package: str, search_path: Sequence[Path]) -> Literal["ours", "user", "package"]:
    top = module.partition(".")[0]
    if top in OURS:
        return "ours"
    is_users = top == package.partition(".")[0] or any(
        (folder / top).is_dir() or (folder / f"{top}.py").is_file() for folder in search_path
    )
    return "user" if is_users else "package"
