"""Diagnostics as text for people, and as JSON, GitHub annotations or SARIF for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Literal

from innereye_runtime.diagnostics.diagnostic import Diagnostic

Format = Literal["text", "json", "github", "sarif"]

_TAB = 4
_WIDEST = 120
_COLOURS = {"error": "31", "warning": "33", "note": "36"}


def render(diagnostics: Sequence[Diagnostic], format: Format, *, colour: bool = False) -> str:
    """The diagnostics in `format`, in the order given; text that ends in a line break, or empty text for none.

    text: for each, the place and message, the line of source with carets below what is meant, and the hint. Columns are
    aligned also below tabs, wide and combining characters; what a terminal would act on is shown as an escape.
    json: `{"diagnostics": [{code, severity, message, hint, source, line, column, end_line, end_column}]}`.
    github: workflow commands, which GitHub shows at the line. sarif: a SARIF 2.1.0 log.
    """
    match format:
        case "text":
            return "\n".join(_text(diagnostic, colour) for diagnostic in diagnostics)
        case "json":
            return json.dumps({"diagnostics": [_plain(d) for d in diagnostics]}, indent=2) + "\n"
        case "github":
            return "".join(_github(diagnostic) + "\n" for diagnostic in diagnostics)
        case "sarif":
            from innereye_runtime.diagnostics.sarif import log

            return json.dumps(log(diagnostics), indent=2) + "\n"


def _text(diagnostic: Diagnostic, colour: bool) -> str:
    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour and text else text

    span, tint = diagnostic.span, _COLOURS[diagnostic.severity]
    kind = paint(f"{diagnostic.severity}[{diagnostic.code}]", f"1;{tint}")
    place = f"{visible(diagnostic.source)}:{span.line}:{span.column}:"
    lines = [f"{place} {kind}: {paint(visible(diagnostic.message), '1')}"]
    if diagnostic.lines and diagnostic.lines[0].strip():
        source, carets = _excerpt(diagnostic)
        gutter = " " * (len(str(span.line)) + 1)
        lines.append(f"{paint(f' {span.line} |', '2')} {source}".rstrip())
        lines.append(f"{paint(f'{gutter} |', '2')} {' ' * carets[0]}{paint('^' * carets[1], f'1;{tint}')}")
    if diagnostic.hint:
        lines.append(f"  {paint('hint:', '36')} {visible(diagnostic.hint)}")
    return "\n".join(lines) + "\n"


def _excerpt(diagnostic: Diagnostic) -> tuple[str, tuple[int, int]]:
    """The source line as it is shown, cut where it is very long, and (indentation, number) of the carets below it."""
    span, line = diagnostic.span, diagnostic.lines[0]
    start = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(line.rstrip())
    first, last = 0, len(line)
    if len(line) > _WIDEST or width(_shown(line)) > _WIDEST:  # a long line is not looked at from end to end
        first = max(0, start - _WIDEST // 3)
        last = min(first + _WIDEST, len(line))
    head, tail = "..." if first else "", "..." if last < len(line) else ""
    text = head + _shown(line[first:last])
    left = width(head + _shown(line[first:start]))
    wide = max(width(_shown(line[start:end])), 1)
    return text + tail, (left, min(wide, max(1, width(text) - left)))


def _shown(text: str) -> str:
    return text if text.isprintable() else "".join(map(_cell, text))


def _cell(character: str) -> str:
    """A character as it is shown in an excerpt: tabs as spaces, what can't be seen as a replacement of its width."""
    if character == "\t":
        return " " * _TAB
    return character if character.isprintable() or character == "\u3000" or _combines(character) else "\ufffd"


def width(text: str) -> int:
    """The number of terminal cells that `text` takes: 2 for wide characters, 0 for combining ones."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(0 if _combines(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _combines(character: str) -> bool:
    from unicodedata import category

    return not character.isascii() and category(character) in ("Mn", "Me", "Cf")


def visible(text: str) -> str:
    """`text` in one line, with control characters as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _plain(diagnostic: Diagnostic) -> dict[str, str | int]:
    span = diagnostic.span
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "source": diagnostic.source,
        "line": span.line,
        "column": span.column,
        "end_line": span.end_line,
        "end_column": span.end_column,
    }


def _github(diagnostic: Diagnostic) -> str:
    """https://docs.github.com/actions/reference/workflow-commands-for-github-actions: columns only within one line."""
    span = diagnostic.span
    command = {"error": "error", "warning": "warning", "note": "notice"}[diagnostic.severity]
    in_file = not diagnostic.source.startswith("<")  # the command line is no file
    place: list[tuple[str, str | int]] = []
    if in_file:
        place += [("file", diagnostic.source), ("line", span.line), ("endLine", span.end_line)]
    if in_file and span.line == span.end_line:
        place += [("col", span.column), ("endColumn", max(span.end_column, span.column + 1))]
    place.append(("title", diagnostic.code))
    properties = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in place)
    text = diagnostic.message + (f"\nhint: {diagnostic.hint}" if diagnostic.hint else "")
    return f"::{command} {properties}::{_escape(text)}"


def _escape(text: str, others: Iterable[str] = ()) -> str:
    # Line breaks have a form of their own there; what else a terminal would act on is shown as an escape.
    text = "".join(c if c in "\r\n" else visible(c) for c in text) if not text.isprintable() else text
    for character in ("%", "\r", "\n", *others):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
