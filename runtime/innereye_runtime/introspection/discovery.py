"""How a container class is found by its name: in source files, without importing any; and imported, alone, when it is
needed."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from innereye_runtime.compat.lightning_alias import real_name
from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.code_root import NOT_USERS
from innereye_runtime.introspection.static.module_files import ModuleFile, locate

EXAMPLES: Final = "innereye_runtime.examples"
_CHECKOUT: Final = "InnerEye.ML.configs"
"""Where the old toolbox had its users' classes, which were found there without a namespace."""
_CLASS: Final = re.compile(rb"^[ \t]*class[ \t]+(\w+)[ \t]*[(:\[]", re.MULTILINE)
_SECONDS_FOR_HINT: Final = 2.0
_NAME_IT: Final = "name the module that holds it in container.namespaces, or write package.module:ClassName"

_loaded_from: Final[list[Path]] = []


class DiscoveryError(UsageError):
    """There is no such class, or more than one."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where a class is declared."""

    module: str
    class_name: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.class_name} ({self.file}:{self.line})"


def find(class_name: str, namespaces: Sequence[str], search_path: Sequence[Path]) -> Location:
    """The place of a class, from source files alone; nothing is imported.

    A bare name is looked for in all modules at and below `namespaces`; where none of them has it, below
    `InnerEye.ML.configs` of the user's checkout, and last among the examples. `package.module:ClassName` names its
    module. Folders of `search_path` come before those that Python searches.

    Raises:
        DiscoveryError: there is no such class (with the near matches), or several (with every place), or a namespace is
            not there.
    """
    module, colon, name = class_name.rpartition(":")
    if colon:
        return _in_module(module, name, search_path)
    modules = {namespace: list(_modules(namespace, search_path)) for namespace in (*namespaces, _CHECKOUT, EXAMPLES)}
    missing = [namespace for namespace in namespaces if not modules[namespace]]
    known: dict[str, list[Location]] = {}
    for tier in (namespaces, (_CHECKOUT,), (EXAMPLES,)):
        for place in (place for namespace in dict.fromkeys(tier) for place in modules[namespace]):
            for location in _classes(place):
                known.setdefault(location.class_name, []).append(location)
        if class_name in known or missing:
            break
    found = list({location.file.resolve(): location for location in known.get(class_name, ())}.values())
    if len(found) == 1 and not missing:
        return found[0]
    if len(found) > 1:
        places_text = "; ".join(map(str, found))
        raise DiscoveryError(
            f"there are {len(found)} classes '{class_name}': {places_text}",
            hint=f"name one of them: {found[0].module}:{class_name}",
        )
    if missing:
        raise _missing(class_name, missing, found, known, search_path)
    searched = [each for each in modules if modules[each] or each in (*namespaces, EXAMPLES)]
    raise _unknown(class_name, searched, known, search_path)


def load(location: Location, search_path: Sequence[Path] = ()) -> type:
    """The class itself. Imports its module and no other; what that module raises, is raised as it is.

    Raises:
        DiscoveryError: the module has no such class, or its name is that of another one, which Python has imported.
    """
    from innereye_runtime.compat import extended_packages, lightning1_imports, lightning_alias

    lightning_alias.install()
    lightning1_imports.install()
    if search_path:
        _loaded_from[:] = [search_path[0]]
    for folder in reversed([str(folder) for folder in search_path]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    extended_packages.install()
    module = import_module(location.module)
    if getattr(module, "__file__", None) is None or not Path(str(module.__file__)).samefile(location.file):
        raise DiscoveryError(
            f"the name '{location.module}' is taken by {getattr(module, '__file__', None) or 'a module of Python'}",
            hint=f"rename {location.file}",
        )
    found = getattr(module, location.class_name, None)
    if not isinstance(found, type):
        near = _suggest(
            location.class_name, [name for name, value in vars(module).items() if isinstance(value, type)], 1
        )
        raise DiscoveryError(
            f"the module {location.module} has no class '{location.class_name}'",
            hint=f"did you mean '{near[0]}'?" if near else f"it is the file {location.file}",
        )
    return found


def import_file() -> Path | None:
    """The root of the code that a class was last loaded from, in this process."""
    return _loaded_from[0] if _loaded_from else None


def _in_module(module: str, name: str, search_path: Sequence[Path]) -> Location:
    place = locate(real_name(module), search_path)
    if place is None or place.file is None:
        folders = ", ".join(map(str, search_path))
        searched = f"searched: {folders or 'nothing but sys.path'}, and Python's own path"
        raise DiscoveryError(f"there is no module '{module}'", hint=_file_for_module(module, name) or searched)
    # A class that the source does not show may be made when the module is imported: `load` will tell.
    return next((each for each in _classes(place) if each.class_name == name), Location(module, name, place.file, 1))


def _modules(namespace: str, search_path: Sequence[Path]) -> Iterator[ModuleFile]:
    """The module `namespace` and, where it is a package, all modules below it."""
    top = locate(namespace, search_path)
    if top is None:
        return
    if top.file is not None:
        yield top
    for folder in top.folders:
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            if any(not part.isidentifier() for part in parts):
                continue
            if parts[-1] != "__init__":
                yield ModuleFile(name=".".join((namespace, *parts)), file=file, folders=())
            elif len(parts) > 1:
                yield ModuleFile(name=".".join((namespace, *parts[:-1])), file=file, folders=(file.parent,))


def _classes(place: ModuleFile) -> Iterator[Location]:
    """The classes in a source file, as far as its text shows them."""
    if place.file is None:
        return
    try:
        text = place.file.read_bytes()
    except OSError:
        return
    for match in _CLASS.finditer(text):
        if text[match.start() : match.start() + 1] not in b" \t" or _at_top(text, match.start()):
            yield Location(place.name, match[1].decode(), place.file, text.count(b"\n", 0, match.start(1)) + 1)


def _at_top(text: bytes, start: int) -> bool:
    """Whether an indented class stands in an `if` or `try` at the top, and not in another class or function."""
    above = re.findall(rb"^(\w+)", text[:start], re.MULTILINE)
    return bool(above) and above[-1] in (b"if", b"else", b"elif", b"try", b"except", b"with")


def _missing(
    class_name: str,
    missing: Sequence[str],
    found: Sequence[Location],
    known: Iterable[str],
    search_path: Sequence[Path],
) -> DiscoveryError:
    message = f"there is no module {_listed(missing)} in {_listed([str(folder) for folder in search_path])}"
    if file_hint := next((hint for each in missing if (hint := _file_for_module(each))), ""):
        return DiscoveryError(message, hint=file_hint)
    if found:
        return DiscoveryError(message, hint=f"delete it from the namespaces; {class_name} stands in {found[0].module}")
    near = _suggest(class_name, known, 1)
    hint = _elsewhere(class_name, search_path) or (f"did you mean '{near[0]}'?" if near else _NAME_IT)
    return DiscoveryError(f"there is no class '{class_name}'; {message}", hint=hint)


def _unknown(
    class_name: str, searched: Sequence[str], known: Iterable[str], search_path: Sequence[Path]
) -> DiscoveryError:
    folders = f"; modules are looked for in {_listed([str(each) for each in search_path])}" if search_path else ""
    message = f"there is no class '{class_name}' in {_listed(searched)}{folders}"
    near = _suggest(class_name, known, 3)
    guess = f"did you mean {' or '.join(repr(name) for name in near)}?" if near else _NAME_IT
    return DiscoveryError(message, hint=_elsewhere(class_name, search_path) or guess)


def _file_for_module(name: str, class_name: str = "") -> str:
    """The hint for a file's name where a module's is wanted; else ''."""
    if name.endswith(".ipynb"):
        return "a class can't be imported from a notebook: move it to a .py file"
    if name.endswith(".py"):
        return f"a module is named without .py: write {name.removesuffix('.py')}{':' * bool(class_name)}{class_name}"
    return ""


def _elsewhere(class_name: str, search_path: Sequence[Path]) -> str:
    """Says where the class is, when it is in a file of the user's that no namespace names; else ''. The search ends
    after a few seconds, whatever the number of files.
    """
    end = time.monotonic() + _SECONDS_FOR_HINT
    wanted = re.compile(rb"^class[ \t]+" + re.escape(class_name.encode()) + rb"[ \t]*[(:]", re.MULTILINE)
    for root in search_path:
        for file in _users_files(root):
            if time.monotonic() > end:
                break
            nearest = max((each for each in search_path if file.is_relative_to(each)), key=lambda each: len(each.parts))
            parts = file.relative_to(nearest).with_suffix("").parts
            if all(part.isidentifier() for part in parts) and wanted.search(file.read_bytes()):
                return f"it is in {file}: write 'namespaces: [{'.'.join(parts)}]'"
        notebook = next((file for file in root.glob("*.ipynb") if class_name.encode() in file.read_bytes()), None)
        if notebook is not None:
            return f"a class can't be imported from a notebook: move it from {notebook} to a .py file"
    return ""


def _users_files(root: Path) -> Iterator[Path]:
    """The Python files of a project, those nearest to its root first in each folder."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in NOT_USERS and not name.startswith((".", "venv")))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(".py"))


def _suggest(name: str, names: Iterable[str], count: int) -> list[str]:
    """The names that are near; that two end in Container brings them no nearer."""
    from difflib import get_close_matches

    stems = {known.removesuffix("Container") or known: known for known in names}
    return [stems[near] for near in get_close_matches(name.removesuffix("Container") or name, stems, count)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
