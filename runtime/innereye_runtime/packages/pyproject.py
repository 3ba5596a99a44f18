"""pyproject.toml: the project's dependencies with those of some of its extras, and where its packages lie."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import canonicalize_name

from innereye_runtime.diagnostics.text import closest_match
from innereye_runtime.packages.files import toml_of
from innereye_runtime.packages.requirement import Reading


def read(path: Path, extras: Iterable[str], reading: Reading) -> None:
    """Adds the dependencies of the project, and of its `extras`, to `reading`."""
    data = toml_of(path, reading)
    project = data.get("project") if data is not None else {}
    if data is None:
        return
    if not isinstance(project, dict):
        hint = "write its dependencies into [project]; for another tool's file, export a requirements.txt"
        reading.problem("E502", f"{path} has no [project] table", hint)
        return
    if {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        hint = "name the file that has them, such as requirements.txt"
        reading.problem("E502", f"{path}: the dependencies are dynamic, so the file does not show them", hint)
        return
    reading.python = reading.python or str(project.get("requires-python", ""))
    reading.place = reading.place or str(path)
    listed = project.get("optional-dependencies", {})
    optional: dict[str, Any] = {canonicalize_name(name): texts for name, texts in listed.items()}
    own = canonicalize_name(str(project.get("name", "")))
    _add(project.get("dependencies", []), str(path), reading)
    waiting: list[str] = [canonicalize_name(extra) for extra in extras]
    seen: set[str] = set()
    while waiting:
        extra = waiting.pop(0)
        if extra in seen:
            continue
        seen.add(extra)
        if extra not in optional:
            near = closest_match(extra, optional)
            known = f"its extras are {', '.join(optional)}" if optional else "it has no [project.optional-dependencies]"
            hint = f"did you mean '{near}'?" if near else known
            reading.problem("E505", f"{path} has no extra '{extra}'", hint)
            continue
        others, again = _without_own(optional[extra], own)
        waiting += again
        _add(others, f"{path} [{extra}]", reading)


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


def _add(listed: Any, place: str, reading: Reading) -> None:
    for text in listed if isinstance(listed, list) else []:
        reading.add(str(text), place)


def _without_own(listed: Any, own: str) -> tuple[list[str], list[str]]:
    """The requirements, and the extras of the project itself that `name[extra]` among them names."""
    others: list[str] = []
    extras: list[str] = []
    for text in listed if isinstance(listed, list) else []:
        try:
            parsed = Parsed(str(text))
        except InvalidRequirement:
            parsed = None
        if parsed is not None and canonicalize_name(parsed.name) == own:
            extras += [canonicalize_name(extra) for extra in parsed.extras]
        else:
            others.append(str(text))
    return others, extras
