"""A requirements file's text and data, with a problem where it can't be read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from innereye_runtime.diagnostics.text import closest_match
from innereye_runtime.packages.requirement import Reading


def text_of(path: Path, reading: Reading, named_by: Path | None = None) -> str:
    """The text of a file; '' with a problem where it can't be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        by = f", which {named_by} names" if named_by else ""
        near = closest_match(path.name, _names_beside(path))
        hint = f"did you mean {near}?" if near else "correct the path: it is relative to where it is written"
        reading.problem("E501", f"there is no file {path}{by}", hint)
    except IsADirectoryError:
        reading.problem("E501", f"{path} is a folder", "name the requirements file in it")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        reading.problem("E502", f"{path} can't be read: {reason}", "check its permissions, and save it as UTF-8")
    return ""


def _names_beside(path: Path) -> list[str]:
    try:
        return [each.name for each in path.parent.iterdir() if each.is_file()]
    except OSError:
        return []


def toml_of(path: Path, reading: Reading) -> dict[str, Any] | None:
    """The file as data; None, with a problem, where it can't be read."""
    before = len(reading.problems)
    text = text_of(path, reading)
    try:
        return tomllib.loads(text) if len(reading.problems) == before else None
    except tomllib.TOMLDecodeError as error:
        reading.problem("E502", f"{path} is not TOML: {error}", "correct it there")
    return None
