"""Every error that ruamel.yaml's scanner and parser can raise has words of ours; read from their sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import ruamel.yaml

from innereye_runtime.manifest.yaml.syntax_errors import lookup

SOURCES = Path(ruamel.yaml.__file__).parent
OTHERS = {
    # the scanner of round trips, directives (refused before), and checks of the library's own use
    *("scan_directive", "scan_directive_name", "scan_yaml_directive_value", "scan_yaml_directive_number"),
    *("scan_tag_directive_handle", "scan_tag_directive_prefix", "scan_directive_ignored_line", "process_directives"),
}


def raised() -> Iterator[tuple[str, str, str]]:
    """(function, context, problem) of each `raise ScannerError(...)` and `ParserError(...)`."""
    for file in ("scanner.py", "parser.py"):
        tree = ast.parse((SOURCES / file).read_text())
        for owner in (node for node in tree.body if isinstance(node, ast.ClassDef) and "RoundTrip" not in node.name):
            for function in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
                for node in ast.walk(function):
                    match node:
                        case ast.Raise(exc=ast.Call(func=ast.Name(id="ScannerError" | "ParserError"), args=args)):
                            name = "tag" if function.name.startswith(("scan_tag", "scan_uri")) else "anchor"
                            texts = [_text(argument, name) for argument in args]
                            yield function.name, texts[0], texts[2] if len(texts) > 2 else texts[0]


def _text(node: ast.expr, name: str = "anchor") -> str:
    """A literal as it would read, each value in it as one of the words that stand there."""
    match node:
        case ast.Constant(value=value):
            return str(value or "")
        case ast.JoinedStr(values=values):
            return "".join(_text(part, name) for part in values)
        case ast.FormattedValue(value=ast.Name(id="length")):
            return "4"
        case ast.FormattedValue(value=ast.Name(id="name" | "node" as variable)):
            return {"name": name, "node": "block"}[variable]
        case ast.FormattedValue():
            return "'x'"
        case ast.BinOp(left=left, right=right):
            return _text(left, name) + _text(right, name)
    return ""


CASES = [case for case in raised() if case[0] not in OTHERS and "RoundTrip" not in case[0]]


@pytest.mark.parametrize(("function", "context", "problem"), CASES, ids=[f"{c[0]}: {c[2][:40]}" for c in CASES])
def test_an_error_of_the_parser_has_words_of_ours(function: str, context: str, problem: str) -> None:
    assert lookup(problem, context) is not None, (function, context, problem)


def test_the_sources_were_read() -> None:
    assert len(CASES) > 25
