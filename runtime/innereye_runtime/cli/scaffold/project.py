"""The files of a new project, by their paths: for an empty folder, or around a class that is there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from innereye_runtime.cli.scaffold import texts
from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.discovery import DiscoveryError, find
from innereye_runtime.introspection.static.signatures import Expression, Signature, read_signature
from innereye_runtime.manifest.schema import schema_text
from innereye_runtime.manifest.serializer import in_a_line
from innereye_runtime.parameters.parameter import Parameter
from innereye_runtime.parameters.values import plain

_TEMPLATES: Final = "innereye_runtime.examples.new_project"
_SKIPPED: Final = ("outputs", "node_modules", "__pycache__", "site-packages", "tests")
_MOST_FILES: Final = 2000
_FOLDER_NAMES: Final = ("root", "data_dir", "data_path", "data_root", "root_dir", "folder", "path")
"""Arguments that are most likely the folder of the data, whatever their type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    files: Mapping[str, str]
    """Text by path, relative to the folder."""
    to_fill_in: tuple[str, ...] = ()
    """The arguments whose values only the user knows; an example stands in the manifest."""


def empty_project(folder: Path) -> NewProject:
    """A model and its data in a package that is called as the folder is, and all that a job needs."""
    package = package_name(folder.name)
    classes = (
        f"model: {{class: {package}.model:Classifier, args: {{channels: 8}}}}\ndata: {{class: {package}.data:Images}}\n"
    )
    code = {f"{package}/{name}": _template(name) for name in ("model.py", "data.py")}
    return NewProject(
        files={"manifest.yaml": texts.HEAD + classes + texts.TAIL, f"{package}/__init__.py": "", **code}
        | _around(folder)
    )


def project_from(folder: Path, model: str, data: str | None) -> NewProject:
    """A manifest that fits the LightningModule `model`, and what a job needs beside it. `data`: the data module,
    by default the one that the project has.

    Raises:
        UsageError: there is no such class, or it is of another kind, or it is not clear which the data module is.
    """
    signature = _signature(model, "LightningModule", folder)
    found = data or _data_module(folder, signature)
    parts = [("model", model, signature)]
    if found is not None:
        parts.append(("data", found, _signature(found, "LightningDataModule", folder)))
    lines, to_fill_in, dataset = [texts.HEAD], [], False
    for name, class_name, each in parts:
        lines += [f"{name}:\n  class: {class_name}\n", *_arguments(each)]
        needed = [parameter for parameter in each.parameters.values() if parameter.required]
        dataset = dataset or any(_is_folder(parameter) for parameter in needed)
        to_fill_in += [f"{name}.args.{parameter.name}" for parameter in needed if not _is_folder(parameter)]
    if dataset:
        lines.append("dataset:\n  local: data     # the folder of your data\n")
        to_fill_in.append("dataset.local")
    return NewProject(
        files={"manifest.yaml": "".join([*lines, texts.TAIL])} | _around(folder), to_fill_in=tuple(to_fill_in)
    )


def package_name(folder: str) -> str:
    """The folder's name as that of a package that hides no other."""
    name = re.sub(r"\W+", "_", folder.lower()).strip("_")
    taken = not name.isidentifier() or name in sys.stdlib_module_names or name in ("tests", "outputs", "data")
    return f"project_{name}".rstrip("_") if taken or find_spec(name) is not None else name


def _around(folder: Path) -> dict[str, str]:
    """What stands around the code of a project: packaging, a test, CI and the schema for editors."""
    name = package_name(folder.name).replace("_", "-")
    return {
        texts.SCHEMA_FILE: schema_text(),
        "pyproject.toml": texts.PYPROJECT.replace("NAME", name),
        "requirements.txt": texts.REQUIREMENTS,
        "tests/test_smoke.py": _template("test_smoke.py"),
        ".github/workflows/test.yml": texts.WORKFLOW,
        ".gitignore": texts.IGNORED,
    }


def _template(name: str) -> str:
    return files(_TEMPLATES).joinpath(name).read_text(encoding="utf-8")


def _signature(class_name: str, wanted: str, folder: Path) -> Signature:
    if ":" not in class_name:
        raise UsageError(f"'{class_name}' does not name a module", hint="write package.module:ClassName")
    try:
        location = find(class_name, (), (folder,))
    except DiscoveryError as error:
        raise UsageError(f"{error}, seen from {folder}", hint=error.hint) from None
    signature = read_signature(location, (folder,))
    if signature.problem:
        raise UsageError(signature.problem, hint=signature.hint)
    if signature.kind not in (wanted, "unknown"):
        raise UsageError(
            f"{class_name} is not a {wanted}: {location.file}:{location.line}",
            hint=f"name a class derived from {wanted}",
        )
    return signature


def _data_module(folder: Path, model: Signature) -> str | None:
    """The one LightningDataModule of the project; None where the model has its own loaders."""
    found = list(_data_modules(folder))
    beside = [each for each in found if each.partition(":")[0] == model.location.module]
    if len(found) == 1 or len(beside) == 1:
        return found[0] if len(found) == 1 else beside[0]
    if "train_dataloader" in model.methods:
        return None
    if found:
        raise UsageError(
            f"there are {len(found)} data modules: {', '.join(found)}", hint=f"name one: --data={found[0]}"
        )
    raise UsageError(
        f"there is no LightningDataModule below {folder}", hint="write one, or name it: --data=package.module:ClassName"
    )


def _data_modules(folder: Path) -> Iterator[str]:
    for count, file in enumerate(sorted(folder.rglob("*.py"))):
        parts = file.relative_to(folder).with_suffix("").parts
        if count >= _MOST_FILES:
            return
        if any(part in _SKIPPED or not part.isidentifier() for part in parts):
            continue
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = file.read_text(encoding="utf-8", errors="replace")
        for name in re.findall(r"^class (\w+)\(", text, re.MULTILINE) if "DataModule" in text and module else ():
            location = find(f"{module}:{name}", (), (folder,))
            if read_signature(location, (folder,)).kind == "LightningDataModule":
                yield f"{module}:{name}"


def _arguments(signature: Signature) -> Sequence[str]:
    """The lines of `args`: those that are needed with an example, the others as comments with their defaults."""
    needed = [each for each in signature.parameters.values() if each.required]
    rest = [each for each in signature.parameters.values() if not each.required]
    lines = ["  args:\n"] if needed else ["  # args:\n"] if rest else []
    for each in needed:
        value, note = (
            ('"${dataset}"', "") if _is_folder(each) else (_example(each), f"     # {_noun(each)}: your value")
        )
        lines.append(f"    {each.name}: {value}{note}\n")
    return [*lines, *(f"  #   {each.name}: {_default(each)}\n" for each in rest)]


def _is_folder(parameter: Parameter) -> bool:
    kinds = {"path", "string", "any"}
    type_ = parameter.type
    parts = {each.name for each in (type_.items if type_.name == "union" else (type_,))} if type_ is not None else kinds
    return ("path" in parts or parameter.name in _FOLDER_NAMES) and bool(parts & kinds)


def _example(parameter: Parameter) -> str:
    return parameter.type.example if parameter.type is not None else "VALUE"


def _noun(parameter: Parameter) -> str:
    return parameter.type.noun if parameter.type is not None else "a value"


def _default(parameter: Parameter) -> str:
    if isinstance(parameter.default, Expression):
        return f"...     # default: {parameter.default}"
    return in_a_line(plain(parameter.default))
