"""Where the packages of a project lie, as pyproject.toml says. Every command asks for it, so this imports little."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def source_folders(project: Path) -> tuple[Path, ...]:
    """The folders inside of `project` that its packages are imported from: `src`, or what its build tool is configured
    with. None where that is the project itself.
    """
    try:
        data: Mapping[str, Any] = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        data = {}
    named = [name for name in _configured(data) if isinstance(name, str)]
    if data or any((project / name).is_file() for name in ("setup.py", "setup.cfg")):
        named.append("src")
    root = project.resolve()
    folders = [(project / name).resolve() for name in named]
    inside = [folder for folder in folders if folder != root and folder.is_relative_to(root) and folder.is_dir()]
    return tuple(dict.fromkeys(project / folder.relative_to(root) for folder in inside))


def _configured(data: Mapping[str, Any]) -> Iterable[Any]:
    tool = data.get("tool", {})
    setuptools = _at(tool, "setuptools")
    yield _at(setuptools, "package-dir").get("")
    where = _at(_at(setuptools, "packages"), "find").get("where", [])
    yield from where if isinstance(where, list) else [where]
    hatch = _at(_at(_at(_at(tool, "hatch"), "build"), "targets"), "wheel")
    for name in hatch.get("packages", []):
        yield str(Path(str(name)).parent)
    yield from hatch.get("sources", []) if isinstance(hatch.get("sources"), list) else []
    for package in _at(tool, "poetry").get("packages", []):
        yield package.get("from") if isinstance(package, dict) else None
    yield _at(_at(tool, "uv"), "build-backend").get("module-root")
    yield _at(_at(tool, "pdm"), "build").get("package-dir")


def _at(data: Any, name: str) -> Mapping[str, Any]:
    part = data.get(name) if isinstance(data, dict) else None
    return part if isinstance(part, dict) else {}
