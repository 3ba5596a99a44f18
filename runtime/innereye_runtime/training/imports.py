"""What to say about an import that failed: who asked for it, and who has to provide it."""

from __future__ import annotations

import os
import re
import sys
from importlib import metadata
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from traceback import extract_tb
from typing import Final

from innereye_runtime.introspection.discovery import import_file
from innereye_runtime.training.lifecycle.tracebacks import is_users

_DISTRIBUTIONS: Final = {
    "Bio": "biopython",
    "PIL": "pillow",
    "SimpleITK": "simpleitk",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "ruamel": "ruamel.yaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Packages that are installed under another name than they are imported by."""
_FILES: Final = (
    "requirements*.txt",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
    "environment*.yml",
    "environment*.yaml",
)
"""Where a user's project says what it needs."""
_IN_IMAGE: Final = "INNEREYE_RUNTIME_SHARE"
_MOST_FILES: Final = 2000


def import_remedy(error: ImportError) -> str:
    """The package, the user's file that wants it, and what provides it; '' where the error names no module."""
    if not error.name:
        return ""
    package = error.name.partition(".")[0]
    root = import_file()
    return f"{_wanted_by(error, package)}; {_provided_by(error, package, root)}"


def _wanted_by(error: ImportError, package: str) -> str:
    frames = [frame for frame in extract_tb(error.__traceback__) if is_users(frame)]
    by = f" by {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"'{package}' is imported{by}"


def _provided_by(error: ImportError, package: str, root: Path | None) -> str:
    if _is_there(package):
        name = re.search(r"cannot import name '(\w+)'", str(error))
        missing = name[1] if name else error.name
        return f"{_version(package)} is installed here and has no '{missing}': install the version that has it"
    if root is not None and (own := _own_module(package, root)):
        return f"{own} has this name: write 'import {_dotted(own, root)}', as modules are found from {root}"
    distribution = _DISTRIBUTIONS.get(package, package.lower().replace("_", "-"))
    if extra := _extra_with(distribution):
        whole = f"'innereye-runtime[{extra}]'"
        return f"innereye-runtime provides it: {_install(whole)}"
    if root is not None and (file := _named_in(distribution, package, root)):
        what = f"-r {file}" if file.suffix == ".txt" else str(file.parent)
        return f"{file} requires it, and it is not installed in {sys.prefix}: {_install(what)}"
    where = f", and no requirements file in {root} names it" if root is not None else ""
    return f"innereye-runtime does not provide it{where}: {_install(distribution)}"


def _install(what: str) -> str:
    if _IN_IMAGE in os.environ:
        return f"install {what} in an image FROM this one (compute.docker.image; images/README.md shows how)"
    return f"pip install {what}"


def _is_there(package: str) -> bool:
    if package in sys.modules:
        return True
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):
        return False


def _version(package: str) -> str:
    names = metadata.packages_distributions().get(package, [])
    return f"{names[0]} {metadata.version(names[0])}" if names else f"'{package}'"


def _own_module(package: str, root: Path) -> Path | None:
    """The module or package of this name that lies deeper in the user's code than Python looks."""
    for path in islice(root.rglob("*.py"), _MOST_FILES):
        parts = path.relative_to(root).parts
        if len(parts) > 1 and all(part.isidentifier() for part in parts[:-1]):
            if path.stem == package:
                return path
            if path.name == "__init__.py" and path.parent.name == package:
                return path.parent
    return None


def _dotted(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts)


def _extra_with(distribution: str) -> str:
    """The extra of this package that requires a distribution; '' where none does."""
    try:
        requirements = metadata.requires("innereye-runtime") or []
    except metadata.PackageNotFoundError:
        return ""
    pattern = re.compile(rf"{re.escape(distribution)}\b(?![-.]).*extra == ['\"](\w+)['\"]", re.IGNORECASE)
    extras = [found[1] for each in requirements if (found := pattern.match(each.replace("_", "-")))]
    return next((extra for extra in ("train", "mlflow", "examples") if extra in extras), "")


def _named_in(distribution: str, package: str, root: Path) -> Path | None:
    names = "|".join(re.escape(name) for name in (distribution, package, package.replace("_", "-")))
    wanted = re.compile(rf"(?im)^[\s\"'\-]*({names})(?![\w-])|[\"']({names})(?![\w-])")
    for pattern in _FILES:
        for file in sorted(root.glob(pattern)):
            if wanted.search(file.read_text(encoding="utf-8", errors="replace")):
                return file
    return None
