"""Requirements files of pip, with the files that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement
from packaging.requirements import Requirement as Parsed
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from innereye_runtime.packages import pyproject
from innereye_runtime.packages.files import text_of
from innereye_runtime.packages.requirement import Reading, Requirement, hidden

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"(--?[a-z][a-z-]*)(?:\s*=\s*|\s+|(?=[^\s-])|$)(.*)")
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-i": "--index-url", "-f": "--find-links"}
_PLACES = ("--index-url", "--extra-index-url", "--find-links")
_KEPT = ("--no-index", "--pre", "--no-binary", "--only-binary")
_IGNORED = ("--trusted-host", "--prefer-binary", "--use-feature", "--no-clean")


def read(path: Path, reading: Reading, *, constraints: bool = False, above: tuple[Path, ...] = ()) -> None:
    """Adds what the file `path` asks for to `reading`; with `constraints`, it is a file of constraints."""
    if path in above:
        chain = " -> ".join(each.name for each in (*above, path))
        reading.problem("E502", f"{path}: the requirements files name each other: {chain}", "delete one of the '-r'")
        return
    text = text_of(path, reading, above[-1] if above else None)
    for number, line in _lines(text):
        place = f"{path}:{number}"
        if line.startswith("-"):
            _option(line, place, path, reading, above)
        elif constraints:
            kept = len(reading.requirements)
            reading.add(_without_options(line)[0], place)
            reading.constraints += reading.requirements[kept:]
            del reading.requirements[kept:]
        else:
            _requirement(line, place, path.parent, reading)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number, without comments; a line that ends in a backslash continues on the next."""
    held, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        held += _COMMENT.sub("", line)
        if held.endswith("\\") and not line.lstrip().startswith("#"):
            held = held[:-1] + " "
            continue
        if held.strip():
            yield start, held.strip()
        held, start = "", 0
    if held.strip():
        yield start, held.strip()


def _option(line: str, place: str, path: Path, reading: Reading, above: tuple[Path, ...]) -> None:
    match = _OPTION.fullmatch(line)
    name = match[1] if match else line
    value = match[2].strip() if match else ""
    if not name.startswith("--") and len(name) > 2:
        name, value = name[:2], f"{name[2:]}{value}"
    name = _SHORT.get(name, name)
    match name:
        case "--requirement" | "--constraint":
            read(path.parent / value, reading, constraints=name == "--constraint", above=(*above, path))
        case "--editable":
            _local(value, place, path.parent, reading)
        case "--require-hashes":
            reading.hashed = True
        case _ if name in _PLACES:
            reading.option(name, value, place)
        case _ if name in _KEPT:
            reading.options.append(f"{name} {value}".strip())
        case _ if name not in _IGNORED:
            reading.problem("E502", f"{place}: the option {name} can't be used here", "delete it")


def _without_options(line: str) -> tuple[str, tuple[str, ...]]:
    text, *options = re.split(r"\s(?=--(?:hash|config-settings|global-option|install-option))", line)
    return text.strip(), tuple(re.sub(r"^--hash[= ]", "", each.strip()) for each in options if "--hash" in each)


def _requirement(line: str, place: str, folder: Path, reading: Reading) -> None:
    text, hashes = _without_options(line)
    if " @ " in text:
        reading.add(text, place, hashes=hashes)
    elif re.match(r"[\w+]+://", text):
        _address(text, place, reading, hashes)
    elif _is_path(text, folder):
        _local(text, place, folder, reading)
    else:
        reading.add(text, place, hashes=hashes)


def _address(text: str, place: str, reading: Reading, hashes: tuple[str, ...]) -> None:
    egg = re.search(r"#.*?egg=([\w.-]+)", text)
    file = text.partition("#")[0].rpartition("/")[2]
    if egg:
        reading.add(f"{egg[1]} @ {text.partition('#')[0]}", place, hashes=hashes)
    elif wheel := _name_of_wheel(file):
        reading.add(f"{wheel.partition('==')[0]} @ {text}", place, hashes=hashes)
    else:
        shown = hidden(text)
        reading.problem("E503", f"{place}: {shown} does not show the package's name", f"write NAME @ {shown}")


def _is_path(text: str, folder: Path) -> bool:
    if text.startswith((".", "/", "~")) or text.endswith((".whl", ".tar.gz", ".zip")):
        return True
    try:
        Parsed(text)
    except InvalidRequirement:
        return (folder / text.partition("[")[0]).exists()
    return False


def _local(text: str, place: str, folder: Path, reading: Reading) -> None:
    """A path: the user's own project, whose requirements count and which is importable anyhow, or a wheel."""
    if "://" in text:
        _address(text, place, reading, ())
        return
    name, _, extras = text.partition("[")
    path = (folder / Path(name).expanduser()).resolve()
    if path.is_dir() and (path / "pyproject.toml").is_file():
        listed = tuple(each.strip() for each in extras.rstrip("]").split(",") if each.strip())
        pyproject.read(path / "pyproject.toml", listed, reading)
        if not folder.is_relative_to(path):
            hint = f"build a wheel of it (pip wheel --no-deps {text}), and name that"
            reading.problem("E504", f"{place}: {path} is another project than the manifest's", hint)
    elif not path.exists():
        reading.problem("E501", f"{place}: there is no file {path}", "correct the path: it is relative to the file")
    elif wheel := _name_of_wheel(path.name):
        reading.requirements.append(Requirement(text=wheel, place=place, wheel=path))
    else:
        hint = "build a wheel of it (pip wheel --no-deps PATH), and name that"
        reading.problem("E504", f"{place}: {path} is neither a wheel nor the project itself", hint)


def _name_of_wheel(file: str) -> str:
    """The requirement that a wheel meets, name and version; '' for another file."""
    try:
        name, version, _, _ = parse_wheel_filename(file)
    except InvalidWheelFilename:
        return ""
    return f"{name}=={version}"
