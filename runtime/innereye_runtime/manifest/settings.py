"""`--set KEY=VALUE`: a value of the command line in the place of one key of the manifest, as if the manifest said it.

A setting becomes a further line of the document's text and a part of its tree, so that the schema and the rules check
it like the rest; `placed` then names the command line as the source.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import Any, Final

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Span
from innereye_runtime.diagnostics.text import quote
from innereye_runtime.errors import UsageError
from innereye_runtime.manifest.yaml.document import Document, Node

PREFIX: Final = "--set="
SOURCE: Final = "<command line>"
_SHOWN: Final = "--set "
_KEY = re.compile(r"[^\s.=\[\]]+(?:\.[^\s.=\[\]]+|\[\d+\])*")


def is_setting(word: str) -> bool:
    """Whether a word of a command line sets a key of the manifest, and not a parameter of the container."""
    return word.startswith(PREFIX)


def with_settings(document: Document, words: Sequence[str]) -> tuple[Document, list[Diagnostic]]:
    """The document with each setting (`--set=compute.gpus=all`) in it, and the problems of their values as YAML.

    Raises:
        UsageError: a word is not KEY=VALUE.
    """
    found: list[Diagnostic] = []
    own = len(document.lines)
    for word in words:
        key, equals, text = word.removeprefix(PREFIX).partition("=")
        if not equals or not _KEY.fullmatch(key) or "\n" in text:
            hint = "write --set KEY=VALUE, as in --set compute.gpus=all; VALUE is YAML in one line"
            raise UsageError(f"--set {quote(key)}{equals}{quote(text)} does not set a key of the manifest", hint=hint)
        shown = f"{_SHOWN}{key}={text}"
        lines = (*document.lines, shown)
        value, problems = _value(text, document.source, line=len(lines), column=len(shown) - len(text))
        found += [replace(each, lines=(shown,)) for each in problems]
        if value is not None:
            root = _grafted(document.root, _steps(key), value, len(lines))
            document = replace(document, root=root, lines=lines, settings=len(lines) - own)
    return document, found


def placed(diagnostic: Diagnostic, document: Document) -> Diagnostic:
    """`diagnostic` with the command line as its source, where it is about a setting."""
    if diagnostic.source != document.source or not document.is_setting(diagnostic.span):
        return diagnostic
    span = replace(diagnostic.span, line=1, end_line=1)
    return replace(diagnostic, source=SOURCE, span=span)


def as_parameter(diagnostic: Diagnostic, parameters: Container[str]) -> Diagnostic:
    """`diagnostic`, where it is of a setting whose unknown key is a parameter of the container, with what to write."""
    key, _, text = (diagnostic.lines[0] if diagnostic.lines else "").removeprefix(_SHOWN).partition("=")
    if diagnostic.source != SOURCE or diagnostic.code != "E104" or key not in parameters:
        return diagnostic
    return replace(diagnostic, hint=f"'{key}' is a parameter of the container: write --{key}={text}")


def _value(text: str, source: str, *, line: int, column: int) -> tuple[Node | None, list[Diagnostic]]:
    """The value in `text`, which stands at a place of the document, and its problems."""
    from innereye_runtime.manifest.yaml.composer import compose

    before = "x: "
    document, problems = compose(before + text, (before + text,), source)
    columns = column - len(before)
    moved = [replace(each, span=_moved_span(each.span, line, columns)) for each in problems]
    if document is None or list(document.root.children) != ["x"]:
        return None, moved
    return _moved(document.root.children["x"], line, columns), moved


def _steps(key: str) -> list[tuple[str | int, int]]:
    """Each name or index on the way, and where it begins in the key."""
    return [
        (int(match[1]) if match[1] else match[0], match.start()) for match in re.finditer(r"\[(\d+)\]|[^.\[\]]+", key)
    ]


def _grafted(node: Node | None, steps: Sequence[tuple[str | int, int]], leaf: Node, line: int) -> Node:
    """`node` with `leaf` at the end of the steps; what isn't there yet on the way, or isn't a mapping, becomes one."""
    if not steps:
        return leaf
    (step, start), rest = steps[0], steps[1:]
    if node is None or node.kind == "scalar" or (node.kind == "sequence") != isinstance(step, int):
        node = Node("sequence" if isinstance(step, int) else "mapping", [] if isinstance(step, int) else {}, leaf.span)
    if isinstance(step, int):
        step = min(step, len(node.children))
    child = _grafted(node.children.get(step), rest, leaf, line)
    children = {**node.children, step: child}
    value: Any = [each.value for each in children.values()]
    keys = dict(node.keys)
    if isinstance(step, str):
        value = {name: each.value for name, each in children.items()}
        column = len(_SHOWN) + 1 + start
        span = Span(line, column, line, column + len(step))
        keys[step] = Node("scalar", step, span, plain=True, text=step)
    return replace(node, value=value, children=children, keys=keys, alias="")


def _moved(node: Node, line: int, columns: int) -> Node:
    return replace(
        node,
        span=_moved_span(node.span, line, columns),
        children={step: _moved(child, line, columns) for step, child in node.children.items()},
        keys={name: _moved(key, line, columns) for name, key in node.keys.items()},
    )


def _moved_span(span: Span, line: int, columns: int) -> Span:
    return Span(line, span.column + columns, line, span.end_column + columns)
