"""ruamel.yaml's scanner and parser errors -> diagnostics in a user's words, each with a remedy.

One table holds every error that ruamel can raise (a test reads its sources and looks each one up).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from ruamel.yaml.error import MarkedYAMLError

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic, Span
from innereye_runtime.diagnostics.text import clip, quote
from innereye_runtime.manifest.yaml.document import problem


class Rule(NamedTuple):
    """`problem` and `context` are searched in ruamel's text; `place` is the mark to point at. In `message`, `{0}` is a
    group of `problem`, `{open}` the line where the enclosing thing starts, `{word}` the source text at the place."""

    problem: str
    context: str
    place: Literal["problem", "context"]
    message: str
    hint: str
    code: str = "E003"


_QUOTE_IT = "put the text in quotes"
_INDENT = "align it with the keys above, by spaces"

TABLE = (
    Rule(
        r"found character '\\t' that cannot start",
        "",
        "problem",
        "tabs are not allowed for indentation",
        "write spaces instead",
        "E012",
    ),
    Rule(r"found character '(.+)' that cannot start", "", "problem", "'{0}' can't start a value", _QUOTE_IT),
    Rule(
        "could not find expected ':'",
        "",
        "context",
        "'{word}' has no ':' after it",
        "write 'key: value', or indent a continued text",
    ),
    Rule(
        "sequence entries are not allowed here",
        "",
        "problem",
        "'-' can't start a list here",
        "put the list on its own lines, below its key",
    ),
    Rule("mapping keys are not allowed here", "", "problem", "'?' can't start a key here", _QUOTE_IT),
    Rule(
        "mapping values are not allowed here",
        "",
        "problem",
        "this line is indented more than the one it goes with",
        _INDENT,
    ),
    Rule("unexpected end of stream", "quoted scalar", "context", "this quote is never closed", "add the closing quote"),
    Rule(
        "unexpected document separator",
        "quoted scalar",
        "context",
        "this quote is never closed before the '---' line",
        "add the closing quote",
    ),
    Rule(
        r"unknown escape character '(.+)'",
        "",
        "problem",
        "'\\{0}' is not an escape sequence in double quotes",
        "write '\\\\', or use single quotes: '...'",
    ),
    Rule(
        r"escape sequence of (\d) hex",
        "double-quoted",
        "problem",
        "this escape needs {0} hexadecimal digits",
        "use single quotes for text with a backslash",
    ),
    Rule(
        r"expected (?:<block end>|'<document start>'), but found \(?'([\]}])'",
        "",
        "problem",
        "'{0}' closes nothing that is open",
        "delete it",
    ),
    Rule(
        "expected <block end>, but found ','",
        "",
        "problem",
        "this ',' is outside of brackets and separates nothing",
        "delete it; lines need no ',' between them",
    ),
    Rule(
        "expected <block end>, but found '-'",
        "",
        "problem",
        "'-' starts a list where a key is expected",
        "indent the list under the key that it belongs to",
    ),
    Rule(
        "expected <block end>, but found '<block mapping start>'",
        "",
        "problem",
        "the indentation of this line fits no line above",
        _INDENT,
    ),
    Rule(
        "expected <block end>, but found '<scalar>'",
        "",
        "problem",
        "there is text after the end of a value",
        "put the whole text in one pair of quotes, or delete the rest",
    ),
    Rule(
        "expected <block end>, but found",
        "",
        "problem",
        "this matches neither the list nor the mapping that begins on line {open}",
        "check the indentation, and put the value on one line with its key",
    ),
    Rule(
        r"expected ',' or '\]', but got",
        "",
        "context",
        "this '[' is not closed, or a ',' is missing",
        "separate the items by ',' and end the list with ']'",
    ),
    Rule(
        r"expected ',' or '\}+', but got",
        "",
        "context",
        "this '{{' is not closed, or a ',' is missing",
        "separate the pairs by ',' and end the mapping with '}}'",
    ),
    Rule(
        "expected the node content, but found",
        "",
        "problem",
        "a value is missing here",
        "write the value, or delete what is left of it",
    ),
    Rule(
        "undefined tag handle|",
        "parsing a node|(scanning|parsing) an? tag",
        "context",
        "this tag can't be read",
        "delete the tag, or put the text in quotes",
        "E016",
    ),
    Rule(
        "expected alphabetic or numeric character",
        "scanning an? (alias|anchor)",
        "context",
        "'{word}' is not a valid anchor name",
        "put the text in quotes",
    ),
    Rule(
        "expected '<document start>'",
        "",
        "problem",
        "there is text after the end of the manifest",
        "delete it, or look above it for a bracket or a quote too many, or a key without its ':'",
    ),
    Rule(
        "content after document end",
        "",
        "problem",
        "there is text after the '...' that ends the manifest",
        "delete the '...'",
        "E006",
    ),
    Rule(
        "",
        "scanning a block scalar",
        "context",
        "invalid block scalar header",
        "write '|' or '>' at the end of the line, and the text in the lines below",
    ),
    Rule(
        "more indented follow up line",
        "",
        "problem",
        "the block of text starts with blank lines that are indented more than its text",
        "delete the spaces of the blank lines",
    ),
    Rule("unexpected ':'", "", "problem", "':' is not allowed in this text without quotes", _QUOTE_IT),
)

_TAB = re.compile(r"[ ]*\t")


def friendly_message(error: MarkedYAMLError, lines: tuple[str, ...], source: str) -> list[Diagnostic]:
    """The problem that ruamel met, told in place; the tabs of the indentation instead, where they broke it."""
    said, context = str(error.problem or error.context or ""), str(error.context or "")
    mark, start = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    if tabs := _tabs(lines, mark.line if mark else 0):
        hint = "write spaces instead"
        return [
            problem(source, lines, "E012", span, "tabs are not allowed for indentation", hint=hint) for span in tabs
        ]
    if said.startswith("expected ',' or") and (reference := _reference(lines, mark.line if mark else 0)):
        line, written, column = reference
        span = Span(line + 1, column + 1, line + 1, column + len(written) + 1)
        message, hint = f"'{quote(written)}' needs quotes inside braces and brackets", f'write "{quote(written)}"'
        return [problem(source, lines, "E003", span, message, hint=hint)]
    rule = lookup(said, context)
    if rule is None:
        return [
            problem(
                source,
                lines,
                "E003",
                _at(mark, lines),
                f"this is not YAML: {quote(said)}",
                hint="check this line and the one above",
            )
        ]
    if said.startswith("mapping values"):
        return [_second_colon(_at(mark, lines), lines, source)]
    span = _at(start if rule.place == "context" else mark, lines)
    word = clip(lines[span.line - 1][span.column - 1 : span.end_column - 1].split("#")[0].strip())
    found = re.search(rule.problem, said)
    groups = tuple(quote(group) for group in found.groups()) if found else ()
    message = rule.message.format(*groups, word=quote(word), open=start.line + 1 if start else 1)
    return [problem(source, lines, rule.code, span, message, hint=rule.hint.format())]


def _reference(lines: tuple[str, ...], broken: int) -> tuple[int, str, int] | None:
    """The line, the text and the column of a `${...}` without quotes in line `broken` or the one before it."""
    for line in (broken, broken - 1):
        if 0 <= line < len(lines) and (match := re.search(r"(?<=[\s,\[])\$\{[\w.]*\}[^\s,\]}]*", lines[line])):
            return line, match[0], match.start()
    return None


def lookup(said: str, context: str) -> Rule | None:
    """The first rule for an error of ruamel's."""
    return next((rule for rule in TABLE if re.search(rule.problem, said) and re.search(rule.context, context)), None)


def _second_colon(span: Span, lines: tuple[str, ...], source: str) -> Diagnostic:
    """A ':' where no key can end: an unquoted text with ': ', a line above without a ':', or indentation."""
    line = lines[span.line - 1]
    start = len(line) - len(line.lstrip())
    key = Span(span.line, start + 1, span.line, span.column)
    if ": " in line[: span.column - 1]:
        message, hint = "': ' is not allowed inside a text without quotes", _QUOTE_IT
        return problem(source, lines, "E003", span, message, hint=hint)
    above = next((n for n in range(span.line - 2, -1, -1) if lines[n].strip()), None)
    if above is not None and not re.search(r":(\s|$)", lines[above].split(" #")[0]):
        text = lines[above].strip()
        place = Span(above + 1, lines[above].index(text) + 1, above + 1, lines[above].index(text) + len(text) + 1)
        return problem(source, lines, "E003", place, f"'{quote(text)}' has no ':' after it", hint="write 'key: value'")
    return problem(source, lines, "E003", key, "this line is indented more than the one above allows", hint=_INDENT)


def _tabs(lines: tuple[str, ...], broken: int) -> list[Span]:
    """Every tab that indents, when one does in line `broken` (counted from 0) or the one before it."""
    found = {n: match.end() for n, line in enumerate(lines) if (match := _TAB.match(line))}
    if not any(line in found for line in (broken - 1, broken)):
        return []
    return [Span(n + 1, column, n + 1, column + 1) for n, column in list(found.items())[: MAX_DIAGNOSTICS + 1]]


def _at(mark: object, lines: tuple[str, ...]) -> Span:
    """The word at a mark; past the end of the text, the last character that there is."""
    line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
    line = min(line, len(lines) - 1)
    while line and not lines[line].strip():
        line, column = line - 1, len(lines[line - 1])
    text = lines[line]
    column = min(column, max(len(text.rstrip()) - 1, 0))
    word = re.compile(r"[^\s,\[\]{}:]+|.").match(text, column)
    return Span(line + 1, column + 1, line + 1, (word.end() if word else column + 1) + 1)
