"""Requirements compared with what an interpreter has installed; nothing is imported, and nothing is installed."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec

from packaging.requirements import Requirement as Parsed
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from innereye_runtime.packages.requirement import Requirement, Requirements, environment_of

Installed = Callable[[str], tuple[str, tuple[str, ...]] | None]
"""Version and requirements of a distribution, by its name; None: it is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """A requirement that is not met."""

    requirement: Requirement
    installed: str | None
    """The version that is there; None: none is."""

    def __str__(self) -> str:
        wanted = self.requirement.text.partition(";")[0].strip()
        found = f"{self.installed} is installed" if self.installed else "not installed"
        return f"{wanted} ({found}; {self.requirement.place})"


def unmet(requirements: Requirements, installed: Installed | None = None) -> list[Lack]:
    """The requirements that this interpreter does not meet, and those of the extras that they name."""
    look = installed or _installed
    environment = environment_of()
    found: list[Lack] = []
    waiting = [each for each in requirements.requirements if each.applies(environment)]
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop(0)
        if requirement.text in seen:
            continue
        seen.add(requirement.text)
        there = look(requirement.name)
        parsed = requirement.parsed
        allowed = [parsed.specifier, *_constraints(requirements, requirement.name)]
        if there is None:
            found.append(Lack(requirement=requirement, installed=None))
        elif not all(each.contains(there[0], prereleases=True) for each in allowed):
            found.append(Lack(requirement=requirement, installed=there[0]))
        else:
            waiting += _of_extras(parsed, there[1], requirement.place)
    return found


def python_mismatch(requirements: Requirements, version: str = "") -> str:
    """Why a Python (default: this one) is not one that the file is for; '' where it is."""
    version = version or platform.python_version()
    if not requirements.python or SpecifierSet(requirements.python).contains(version, prereleases=True):
        return ""
    return f"{requirements.place} is for Python {requirements.python}, and this is {version}"


def install_command(requirements: Requirements, lacks: list[Lack]) -> str:
    """The one command that installs what is missing into this interpreter."""
    pip = [sys.executable, "-m", "pip", "install"]
    if find_spec("pip") is None:
        pip = ["uv", "pip", "install", "--python", sys.executable]
    file = requirements.file
    if file is not None and file.suffix in (".txt", ".in"):  # its indexes, hashes and constraints count
        return shlex.join([*pip, "-r", str(file)])
    return shlex.join([*pip, *sorted({lack.requirement.text for lack in lacks})])


def _installed(name: str) -> tuple[str, tuple[str, ...]] | None:
    try:
        found = distribution(name)
        return found.version, tuple(found.requires or ())
    except PackageNotFoundError:
        return None


def _constraints(requirements: Requirements, name: str) -> Iterator[SpecifierSet]:
    environment = environment_of()
    for constraint in requirements.constraints:
        if constraint.name == name and constraint.applies(environment):
            yield constraint.parsed.specifier


def _of_extras(parsed: Parsed, requires: tuple[str, ...], place: str) -> Iterator[Requirement]:
    for text in requires if parsed.extras else ():
        needed = Parsed(text)
        for extra in parsed.extras:
            names = {**environment_of(), "extra": canonicalize_name(extra)}
            if needed.marker is not None and "extra" in str(needed.marker) and needed.marker.evaluate(names):
                needed.marker = None
                yield Requirement(text=str(needed), place=f"{place}, {parsed.name}[{extra}]")
                break
