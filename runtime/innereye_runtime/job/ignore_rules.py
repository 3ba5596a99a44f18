"""The rules of .gitignore and .amlignore, for where git can't be asked: which files of a folder they take out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CACHES: Final = {".git", "__pycache__", ".venv", "venv", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
"""Folders that no project means by its code."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of such a file. `base`: the folder that it lies in, relative, '' for the top."""

    base: str
    pattern: re.Pattern[str]
    takes_back: bool
    folders_only: bool

    def matches(self, name: str, *, is_folder: bool) -> bool:
        if self.folders_only and not is_folder:
            return False
        if self.base and not name.startswith(f"{self.base}/"):
            return False
        return self.pattern.fullmatch(name[len(self.base) + 1 if self.base else 0 :]) is not None


def rules_of(text: str, base: str = "") -> list[Rule]:
    """The rules in the text of an ignore file that lies in the folder `base`."""
    found = []
    for line in text.removeprefix("\ufeff").splitlines():
        written = re.sub(r"(?<!\\)[ \t]+$", "", line.rstrip("\r"))
        if not written or written.startswith("#"):
            continue
        takes_back = written.startswith("!")
        body = written[takes_back:]
        folders_only = body.endswith("/")
        body = body.rstrip("/")
        if body:
            found.append(Rule(base, _compiled(body), takes_back, folders_only))
    return found


def read_rules(file: Path, base: str = "") -> list[Rule]:
    """The rules in a file; none where it can't be read."""
    try:
        return rules_of(file.read_text(encoding="utf-8", errors="replace"), base)
    except OSError:
        return []


def ignored(name: str, rules: Iterable[Rule]) -> bool:
    """True where `rules`, the last one that matches, take out the file `name` or a folder above it."""
    rules = list(rules)
    parts = name.split("/")
    for length in range(1, len(parts) + 1):
        part = "/".join(parts[:length])
        if _last(part, rules, is_folder=length < len(parts)):
            return True  # what lies in a folder that is taken out can't be taken back
    return False


def walked(root: Path, *, first: Iterable[Rule] = ()) -> Iterator[str]:
    """The files and links below `root` that no .gitignore takes out, relative and with '/', but for caches.

    `first`: rules that come before those of the .gitignore files.
    """
    yield from _walked(root, "", list(first))


def _walked(root: Path, folder: str, rules: list[Rule]) -> Iterator[str]:
    rules = [*rules, *read_rules(root / folder / ".gitignore", folder)]
    try:
        entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name in CACHES and (is_folder or entry.name == ".git"):
            continue
        if _last(name, rules, is_folder=is_folder):
            continue
        if is_folder:
            yield from _walked(root, name, rules)
        else:
            yield name


def _last(name: str, rules: Iterable[Rule], *, is_folder: bool) -> bool:
    for rule in reversed(list(rules)):
        if rule.matches(name, is_folder=is_folder):
            return not rule.takes_back
    return False


def _compiled(body: str) -> re.Pattern[str]:
    """The expression for a pattern as gitignore(5) describes it."""
    anchored = "/" in body
    body = body.removeprefix("/")
    text = "" if anchored else "(?:.*/)?"
    position = 0
    while position < len(body):
        rest = body[position:]
        if rest.startswith("**/") and (position == 0 or body[position - 1] == "/"):
            text, position = text + "(?:.*/)?", position + 3
        elif rest == "**" and body[position - 1 : position] == "/":
            text, position = text + ".+", position + 2
        elif body[position] == "*":
            text, position = text + "[^/]*", position + 1
        elif body[position] == "?":
            text, position = text + "[^/]", position + 1
        elif body[position] == "[" and (found := re.match(r"\[([!^]?)(\]?(?:\\.|\[:\w+:\]|[^\]\\])*)\]", rest)):
            text, position = text + _class(found[1], found[2]), position + found.end()
        elif body[position] == "\\" and position + 1 < len(body):
            text, position = text + re.escape(body[position + 1]), position + 2
        else:
            text, position = text + re.escape(body[position]), position + 1
    try:
        return re.compile(text, re.DOTALL)
    except re.error:
        return re.compile(re.escape(body))


_POSIX: Final = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "space": r"\s",
}


def _class(negation: str, members: str) -> str:
    members = re.sub(r"\[:(\w+):\]", lambda found: _POSIX.get(found[1], ""), members)
    members = re.sub(r"\\(.)", lambda found: "\0" + found[1], members)  # kept apart from the escapes made below
    escaped = "".join("\\" + each if each in "[]^\\&~|" else each for each in members).replace("\0", "\\")
    return f"(?!/)[{'^' if negation else ''}{escaped}]"
