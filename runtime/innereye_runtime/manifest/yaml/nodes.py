"""How one node is made of a parser's event and the nodes below it, and what is wrong with a scalar or a key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, isnan
from typing import Any

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic, Severity, Span
from innereye_runtime.diagnostics.text import clip, quote
from innereye_runtime.manifest.yaml.document import Node, problem
from innereye_runtime.manifest.yaml.scalars import like_yaml_1_1, resolve

CORE = "tag:yaml.org,2002:"

_SURROGATE = re.compile("[\ud800-\udfff]")
_TYPES: Mapping[str | None, tuple[type, ...]] = {
    CORE + "str": (str,),
    CORE + "int": (int,),
    CORE + "float": (float, int),
    CORE + "bool": (bool,),
    CORE + "null": (type(None),),
}


class ProblemLimitError(Exception):
    """More problems than a person will read."""


class Reporter:
    """Collects the problems of one text; raises `ProblemLimitError` with the first one that would not be shown."""

    def __init__(self, lines: tuple[str, ...], source: str) -> None:
        self.lines, self.source = lines, source
        self.found: list[Diagnostic] = []

    def __call__(self, code: str, span: Span, message: str, hint: str, severity: Severity = "error") -> None:
        self.found.append(problem(self.source, self.lines, code, span, message, hint=hint, severity=severity))
        if len(self.found) > MAX_DIAGNOSTICS:
            raise ProblemLimitError


def scalar(event: Any, span: Span, report: Reporter) -> Node:
    """The node of a scalar event, its value read by the core schema; problems go to `report`."""
    text, tag = event.value, str(event.ctag) if event.ctag else None
    plain = event.style is None and not tag
    if _SURROGATE.search(text):  # JSON writes a character beyond U+FFFF as two escapes
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if _SURROGATE.search(text):
        report(
            "E003",
            span,
            "this escape names half a character",
            "write the character itself, or \\U and eight digits",
        )
        text = _SURROGATE.sub("\ufffd", text)
    if event.style in ("|", ">"):
        span = _without_blank_lines(span, report.lines)
    if event.style is not None and tag is None:
        return Node("scalar", text, span, False, text)
    try:
        value = text if tag in ("!", CORE + "str") else resolve(text)
    except ValueError as error:
        report(
            "E017",
            span,
            f"{error}: more than a manifest can hold",
            "write a shorter number, or put the text in quotes",
        )
        value = 0
    if tag in _TYPES and not (isinstance(value, _TYPES[tag]) and isinstance(value, bool) == (tag == CORE + "bool")):
        refuse_tag(str(tag), span, report, f"'{quote(text)}' does not match its tag")
    elif tag not in (None, "!") and tag not in _TYPES:
        refuse_tag(str(tag), span, report)
    if isinstance(value, float) and not isfinite(value):
        what = "too large for a number" if text.strip("+-")[0] != "." else "not a finite number"
        no_limit = "" if isnan(value) else "omit the key to have no limit, or "
        report("E017", span, f"{clip(text)} is {what}", f"{no_limit}write a finite number")
        value = 0.0
    if plain and like_yaml_1_1(text) == "date":
        hint = f'write "{text}" in quotes, so that every YAML reader reads it as text'
        report("W001", span, f"{clip(text)} is read as text here, and as a date by YAML 1.1", hint, severity="warning")
    if plain and isinstance(value, int) and abs(value) > 7 and re.fullmatch(r"[-+]?0[0-9]+", text):
        message = f"{clip(text)} is {value} here, and octal or text to other readers of YAML"
        hint = f"write {value}; octal digits are written as in 0o10"
        report("W010", span, message, hint, severity="warning")
    return Node("scalar", value, span, plain, text)


def check_mapping_key(key: Node, keys: Mapping[str, Node], report: Reporter) -> bool:
    """Whether `key` can be a key beside `keys`; what speaks against it goes to `report`."""
    if key.kind != "scalar":
        what = "a list" if key.kind == "sequence" else "a mapping"
        hint = "put the key in quotes; a value in braces, such as {x}, needs quotes too"
        report("E009", _first_line(key.span, report.lines), f"a key is text, and this one is {what}", hint)
    elif key.plain and key.text == "<<":
        hint = "write the keys out; a whole value can be used again, with &name and *name"
        report("E011", key.span, "'<<' would merge another mapping, which is not part of YAML 1.2", hint)
    elif key.value is None:
        report(
            "E008",
            key.span,
            "the key before ':' is missing" if not key.text else f"the key {key.text} is null, not text",
            f'write a key, or "{key.text}" in quotes' if key.text else "write a key, or delete the line",
        )
    elif not isinstance(key.value, str) and _is_alone(key.span, report.lines):
        report(
            "E008",
            key.span,
            f"{clip(key.text)} follows a ',' without a ':'",
            "write a number with a decimal point, or a list in brackets, such as [0, 3]",
        )
    elif not isinstance(key.value, str):
        what = "a boolean" if isinstance(key.value, bool) else "a number"
        report(
            "E008",
            key.span,
            f"the key {clip(key.text)} is {what}, and keys are text",
            f'write "{clip(key.text)}" in quotes',
        )
    elif key.value in keys:
        first = keys[key.value].span.line
        report(
            "E007",
            key.span,
            f"'{quote(key.value)}' is written twice; the first is on line {first}",
            "keep one of the two",
        )
    else:
        return True
    return False


def _is_alone(span: Span, lines: tuple[str, ...]) -> bool:
    """Whether the key at `span` is the rest of a value that a ',' has cut, as in `{l_rate: 0,01}`."""
    line = lines[span.end_line - 1]
    before, after = line[: span.column - 1].rstrip(), line[span.end_column - 1 :].lstrip()
    return before.endswith(",") and after.startswith((",", "}"))


def refuse_tag(tag: str, span: Span, report: Reporter, message: str = "") -> None:
    shown = "!!" + tag.removeprefix(CORE) if tag.startswith(CORE) else tag
    hint = "delete the tag; a manifest has text, numbers, true, false, lists and mappings"
    report("E016", _first_line(span, report.lines), message or f"the tag '{quote(shown)}' has no meaning here", hint)


def _without_blank_lines(span: Span, lines: tuple[str, ...]) -> Span:
    """The place of a block of text; the parser would let it end where the next key starts."""
    end = span.end_line - (span.end_column == 1)
    while end > span.line and not lines[end - 1].strip():
        end -= 1
    return replace(span, end_line=end, end_column=len(lines[end - 1]) + 1)


def describe(value: Any) -> str:
    """What a value that is not null is, in a reader's words."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"


def collection(
    kind: Any,
    value: Any,
    span: Span,
    children: dict[str | int, Node],
    keys: dict[str, Node],
    end: tuple[int, int] | None,
) -> Node:
    nodes = children.values()
    if end is None:  # a block ends where its last value ends; the parser would say: where the next token starts
        last = max((node.span for node in (*nodes, *keys.values())), key=lambda s: (s.line, s.column), default=span)
        first = min((node.span for node in keys.values()), default=span)
        span, end = Span(first.line, first.column, 0, 0), (last.end_line, last.end_column)
    return Node(
        kind,
        value,
        Span(span.line, span.column, *end),
        children=children,
        keys=keys,
        size=1 + len(keys) + sum(node.size for node in nodes),
        height=1 + max((node.height for node in nodes), default=0),
    )


def _first_line(span: Span, lines: tuple[str, ...]) -> Span:
    return (
        span if span.line == span.end_line else Span(span.line, span.column, span.line, len(lines[span.line - 1]) + 1)
    )


def span_of(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def end_of(event: Any) -> tuple[int, int]:
    return event.end_mark.line + 1, event.end_mark.column + 1
