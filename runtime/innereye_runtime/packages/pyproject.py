"""pyproject.toml: the project's dependencies with those of some of its extras."""

from __future__ import annotations

from collections.abc import Iterable
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
