"""Messages are in plain technical English: the worst idioms are not in golden files, --help, errors or documentation.

ALLOWED is a debt, counted on the day this test was written, and may only shrink: whoever rewords messages lowers the
number (GOLDEN=write does it), nobody raises one. When it is empty, the dictionary goes.
"""

from __future__ import annotations

import ast
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from innereye_runtime.cli.main import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
ALLOWED_FILE = Path(__file__).with_name("wording.json")
ALLOWED: dict[str, int] = json.loads(ALLOWED_FILE.read_text()) if ALLOWED_FILE.is_file() else {}
IDIOMS = {
    "is no X": (r"(?<!there )\b(?:is|are|was) no (?!longer\b|more\b)\w", "X is not a Y"),
    "tell": (r"\b(?:tells?|told)\b", "show, report, print"),
    "bring": (r"\b(?:brings?|brought|bringing)\b", "download, provide, install"),
    "go on": (r"\b(?:goes|go|going|went) on\b", "resume, continue"),
    "stand": (r"\b(?:stands?|stood)\b(?!-)", "is, is written"),
    "at work": (r"\bat work\b", "running"),
    "take up": (r"\b(?:takes?|taken|took) up\b", "restore"),
    "look after": (r"\blook(?:s|ed)? after\b", "manage"),
    "here": (r"\bis not here\b|\bthat is here\b|\bis here\b|\bcome home\b|\bcame home\b", "on this machine"),
    "to be had": (r"\bto be had\b|\bat hand\b", "available"),
    "anew": (r"\banew\b", "again, a new run"),
    "asks nothing": (r"\basks? (?:nothing|nobody)\b|\bnobody is asked\b", "makes no network calls"),
    "whole path": (r"\bthe whole path\b", "an end-to-end run"),
    "has to leave": (r"\b(?:has|have) to leave\b", "must write"),
}
"""Each with the pattern that finds it, and what to write in its place."""


@cache
def shown() -> dict[str, str]:
    """All that a user reads of the program, by where: golden files, the help of each command, errors and hints."""
    texts = {
        str(path.relative_to(ROOT)): path.read_text(errors="replace")
        for path in sorted((ROOT / "tests").rglob("golden/**/*"))
        if path.is_file() and not path.is_relative_to(ROOT / "tests" / "docs")
    }
    for name in ["", *COMMANDS]:
        with redirect_stdout(io.StringIO()) as printed:
            main([*([name] if name else []), "--help"])
        texts[f"innereye-run {name} --help"] = printed.getvalue()
    modules = (path for path in (ROOT / "runtime").rglob("*.py"))
    return texts | {str(path.relative_to(ROOT)): "\n".join(messages(path)) for path in modules}


def messages(module: Path) -> Iterator[str]:
    """The texts that a module gives to errors and as hints."""
    for call in ast.walk(ast.parse(module.read_text())):
        if isinstance(call, ast.Call):
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
            for part in [*given, *(call.args if name.endswith("Error") else ())]:
                texts = (node.value for node in ast.walk(part) if isinstance(node, ast.Constant))
                yield " ".join(text for text in texts if isinstance(text, str))


def documentation() -> dict[str, str]:
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    return {str(page.relative_to(ROOT)): page.read_text() for page in pages}


def found(pattern: str, texts: dict[str, str]) -> list[str]:
    """Each place: its file and the line."""
    return [
        f"{name}: {line.strip()[:120]}"
        for name, text in texts.items()
        for line in text.splitlines()
        for _ in re.finditer(pattern, line, re.IGNORECASE)
    ]


def test_there_is_something_to_read() -> None:
    assert len(shown()) > 100 + len(COMMANDS)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_an_idiom_is_not_used_more_often_than_it_was(idiom: str) -> None:
    pattern, instead = IDIOMS[idiom]
    places, allowed = found(pattern, shown()), ALLOWED.get(idiom, 0)
    if os.environ.get("GOLDEN") == "write" and len(places) < allowed:
        lowered = {**json.loads(ALLOWED_FILE.read_text()), idiom: len(places)}
        ALLOWED_FILE.write_text(json.dumps({name: count for name, count in lowered.items() if count}, indent=2) + "\n")
    assert len(places) <= allowed, f"write '{instead}'; {len(places)} places, {allowed} allowed:\n" + "\n".join(places)


@pytest.mark.parametrize("idiom", IDIOMS)
def test_the_documentation_has_no_idiom(idiom: str) -> None:
    pattern, instead = IDIOMS[idiom]
    assert found(pattern, documentation()) == [], f"write '{instead}'"


def test_no_idiom_is_allowed_that_is_not_searched_for() -> None:
    assert set(ALLOWED) <= set(IDIOMS)


@pytest.mark.parametrize(
    ("idiom", "yes", "no"),
    [
        ("is no X", "lungs.txt is no manifest", "there is no manifest, and it is no longer there"),
        ("tell", "the source does not tell it", "a telling name"),
        ("go on", "a run that goes on with other data", "a good one"),
        ("stand", "it stands in line 3", "the stand-in, standard output"),
        ("bring", "what a launcher brings", "debris"),
    ],
)
def test_a_pattern_finds_its_idiom_and_nothing_else(idiom: str, yes: str, no: str) -> None:
    assert re.search(IDIOMS[idiom][0], yes)
    assert not re.search(IDIOMS[idiom][0], no)
