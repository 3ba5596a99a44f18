"""The requirements of a manifest, from whichever kind of file they are in, with every problem in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from innereye_runtime.manifest.model import Packages
from innereye_runtime.packages import conda_file, locks, pip_file, pyproject
from innereye_runtime.packages.requirement import Problem, Reading, Requirements, environment_of

KINDS = "*.txt, *.in, pyproject.toml, pylock.toml, uv.lock, environment.yml"
_OTHERS: Mapping[str, str] = {
    "poetry.lock": "poetry export --output requirements.txt",
    "pdm.lock": "pdm export --output requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
    "setup.py": "move the requirements into pyproject.toml",
    "setup.cfg": "move the requirements into pyproject.toml",
    "conda-lock.yml": "name environment.yml, or a requirements file",
}
"""Files of other tools, and how to get one that can be read."""


def read(packages: Packages, *, python: str = "") -> tuple[Requirements, tuple[Problem, ...]]:
    """What `packages` asks for, and all that is wrong with it. `python`: the version that an image has; default: this
    interpreter's.
    """
    reading = Reading(environment=environment_of(python))
    if packages.file is not None:
        _read_file(packages.file, packages.extras, reading)
    for index, text in enumerate(packages.listed):
        reading.add(text, f"packages.requirements[{index}]", index=index)
    try:
        SpecifierSet(reading.python)
    except InvalidSpecifier:
        message = f"{reading.place}: '{reading.python}' names no versions of Python"
        reading.problem("E503", message, "write versions such as >=3.11")
    hashed = reading.hashed or any(each.hashes for each in reading.requirements)
    found = Requirements(
        requirements=tuple(dict.fromkeys(reading.requirements)),
        constraints=tuple(dict.fromkeys(reading.constraints)),
        options=tuple(dict.fromkeys(reading.options)),
        python=reading.python,
        place=reading.place,
        system=packages.system,
        file=packages.file,
        hashed=hashed,
    )
    return found, tuple(dict.fromkeys(reading.problems))


def _read_file(path: Path, extras: tuple[str, ...], reading: Reading) -> None:
    name = path.name
    if name == "pyproject.toml" or (extras and path.suffix == ".toml"):
        pyproject.read(path, extras, reading)
    elif name == "uv.lock":
        locks.read_uv_lock(path, reading)
    elif name.startswith("pylock.") and path.suffix == ".toml":
        locks.read_pylock(path, reading)
    elif name in _OTHERS:
        reading.problem("E502", f"{path}: a {name} can't be read", _OTHERS[name])
    elif path.suffix in (".yml", ".yaml"):
        conda_file.read(path, reading)
    elif path.suffix in (".txt", ".in"):
        pip_file.read(path, reading)
    else:
        reading.problem("E502", f"{path} is not a kind of requirements file that is known", f"known are {KINDS}")
