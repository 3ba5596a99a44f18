"""Lock files: pylock.toml (PEP 751) and uv.lock. Each package is pinned, with its hashes where they are in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker

from innereye_runtime.packages.files import toml_of
from innereye_runtime.packages.requirement import Reading

_OWN = ("virtual", "editable")


def read_pylock(path: Path, reading: Reading) -> None:
    """Adds the packages of a pylock.toml that its default groups install."""
    data = toml_of(path, reading)
    if data is None:
        return
    if not str(data.get("lock-version", "")).startswith("1."):
        reading.problem("E502", f"{path} has no lock-version 1", "make it with uv export --format pylock.toml")
        return
    reading.python, reading.place = str(data.get("requires-python", "")), str(path)
    groups = set(data.get("default-groups", ()))
    for package in data.get("packages", ()):
        marker = str(package.get("marker", ""))
        if ("extras" in marker or "dependency_groups" in marker) and not _holds(marker, groups):
            continue
        if "extras" in marker or "dependency_groups" in marker:
            marker = ""
        _add_locked(package, marker, path, reading)


def read_uv_lock(path: Path, reading: Reading) -> None:
    """Adds the packages of a uv.lock that the project needs without extras or groups, in the reading's environment."""
    data = toml_of(path, reading)
    if data is None:
        return
    packages = [package for package in data.get("package", ()) if isinstance(package, dict)]
    roots = [package for package in packages if any(kind in package.get("source", {}) for kind in _OWN)]
    if data.get("version") != 1 or not roots:
        reading.problem("E502", f"{path} is not the lock of a project in version 1", "make it with uv lock")
        return
    reading.python, reading.place = str(data.get("requires-python", "")), str(path)
    seen: set[tuple[str, str]] = set()
    waiting = [*_dependencies(roots[0], (), reading.environment)]
    while waiting:
        edge = waiting.pop(0)
        package = _named(edge, packages)
        if package is None:
            continue
        extras = tuple(sorted(edge.get("extra", ())))
        key = (f"{package['name']}{package.get('version', '')}", ",".join(extras))
        if key in seen:
            continue
        is_new = all(name != key[0] for name, _ in seen)
        seen.add(key)
        waiting += _dependencies(package, extras, reading.environment)
        if is_new and not any(kind in package.get("source", {}) for kind in _OWN):
            _add_uv_package(package, path, reading)


def _dependencies(package: Mapping[str, Any], extras: tuple[str, ...], environment: Mapping[str, str]) -> list[Any]:
    optional = package.get("optional-dependencies", {})
    edges = [*package.get("dependencies", ()), *(edge for extra in extras for edge in optional.get(extra, ()))]
    return [edge for edge in edges if not edge.get("marker") or Marker(edge["marker"]).evaluate(dict(environment))]


def _named(edge: Mapping[str, Any], packages: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The package that a dependency names; its version stands there where the lock has several."""
    for package in packages:
        if package["name"] == edge["name"] and edge.get("version") in (None, package.get("version")):
            return package
    return None


def _add_uv_package(package: Mapping[str, Any], path: Path, reading: Reading) -> None:
    source, name = package.get("source", {}), package["name"]
    if "registry" in source:
        files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
        hashes = tuple(file["hash"] for file in files if "hash" in file)
        reading.add(f"{name}=={package['version']}", str(path), hashes=hashes)
    elif "git" in source:
        address, _, commit = str(source["git"]).partition("#")
        reading.add(f"{name} @ git+{address.partition('?')[0]}@{commit}", str(path))
    elif "url" in source:
        reading.add(f"{name} @ {source['url']}", str(path))
    else:
        _local_package(str(name), path, reading)


def _add_locked(package: Mapping[str, Any], marker: str, path: Path, reading: Reading) -> None:
    name, after = package.get("name", ""), f" ; {marker}" if marker else ""
    if "vcs" in package:
        vcs = package["vcs"]
        commit, kind = vcs.get("commit-id", ""), vcs.get("type", "git")
        reading.add(f"{name} @ {kind}+{vcs.get('url', '')}@{commit}{after}", str(path))
    elif "archive" in package and "url" in package["archive"]:
        reading.add(f"{name} @ {package['archive']['url']}{after}", str(path))
    elif "version" in package and "directory" not in package:
        reading.add(f"{name}=={package['version']}{after}", str(path), hashes=tuple(_hashes(package)))
    else:
        _local_package(str(name), path, reading)


def _hashes(package: Mapping[str, Any]) -> Iterator[str]:
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else [])]
    for file in files:
        yield from (f"{kind}:{value}" for kind, value in file.get("hashes", {}).items())


def _holds(marker: str, groups: set[str]) -> bool:
    try:
        return Marker(marker).evaluate({"extras": set(), "dependency_groups": groups}, context="lock_file")
    except InvalidMarker:
        return True


def _local_package(name: str, path: Path, reading: Reading) -> None:
    hint = "build a wheel of it, and name that in a requirements file"
    reading.problem("E504", f"{path}: {name} is a folder of this machine", hint)
