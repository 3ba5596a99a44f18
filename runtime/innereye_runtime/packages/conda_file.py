"""environment.yml of conda: its pip part and its Python. What only conda installs is refused by name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from innereye_runtime.packages import pip_file
from innereye_runtime.packages.files import text_of
from innereye_runtime.packages.requirement import Reading

_IGNORED = ("pip", "setuptools", "wheel")
_OF_RUNTIME = {"pytorch": "torch", "torch": "torch", "numpy": "numpy", "pillow": "pillow", "param": "param"} | {
    name: name for name in ("pytorch-lightning", "tensorboard", "torchmetrics", "psutil")
}
"""Packages of conda that the runtime has, by pip's name."""
_SPEC = re.compile(r"(?:[\w.-]+::)?(?P<name>[\w.-]+)\s*(?P<spec>[=<>!~].*)?")


def read(path: Path, reading: Reading) -> None:
    """Adds the pip part, and what the runtime has under conda's name."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    text = text_of(path, reading)
    try:
        data: Any = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        reading.problem("E502", f"{path} is not YAML: {str(error).splitlines()[0]}", "correct it there")
        return
    listed = data.get("dependencies") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        if text:
            reading.problem("E502", f"{path} has no list of dependencies", "is it conda's environment.yml?")
        return
    for item in listed:
        if isinstance(item, dict):
            for requirement in item.get("pip") or ():
                _pip(str(requirement), path, reading)
        else:
            _conda(str(item), path, reading)


def _pip(text: str, path: Path, reading: Reading) -> None:
    if text.startswith("-r"):
        pip_file.read(path.parent / text[2:].strip(), reading)
    else:
        reading.add(text, f"{path} (pip)")


def _conda(text: str, path: Path, reading: Reading) -> None:
    match = _SPEC.fullmatch(text.strip())
    name, spec = (match["name"].lower(), (match["spec"] or "").strip()) if match else (text, "")
    if name == "python":
        reading.python, reading.place = _versions(spec), str(path)
    elif name in _OF_RUNTIME:
        reading.add(f"{_OF_RUNTIME[name]}{_versions(spec)}", str(path))
    elif name not in _IGNORED:
        hint = (
            f"if pip has it, move {name} below '- pip:'; a library of the system goes into packages.system; for "
            "anything else, name an image of your own in compute.docker.image"
        )
        reading.problem("E507", f"{path}: {name} is installed by conda, which images of the runtime do not have", hint)


def _versions(spec: str) -> str:
    """conda's versions as pip writes them: `=3.11` means 3.11.anything."""
    parts = []
    for part in filter(None, spec.replace(" ", "").split(",")):
        match = re.fullmatch(r"=(?!=)([\w.]+)(?:\.\*)?(?:=[\w*]+)?", part)
        parts.append(f"=={match[1]}.*" if match else part)
    return ",".join(parts)
