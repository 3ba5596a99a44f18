"""Bytes -> `Document`: every node with its span, every trap of YAML with a message of its own, all of it bounded.

Limits: 256 KiB, 20,000 lines, 64 levels, 20,000 nodes with aliases expanded. They hold while the text is scanned, so
that no input costs more than a second. Parsed by the event parser of ruamel.yaml; nodes are made here, because its own
composer counts and bounds nothing.
"""

from __future__ import annotations

import codecs
import re

from innereye_runtime.diagnostics.diagnostic import MAX_DIAGNOSTICS, Diagnostic, Span
from innereye_runtime.manifest.yaml.document import Document, problem

MAX_BYTES = 256 * 1024
MAX_LINES = 20_000

_LINE_END = re.compile(r"\r\n|\n|\r")
_CONFLICT = re.compile(r"(<{7}|>{7})(?: .*)?")
# Not as the complement of what may be printed, which takes ten times as long to compile.
UNPRINTABLE = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")

_TEMPLATE = "two lines make a manifest, as in 'schema: 1' and 'container: {class: my_project.lungs:Lungs}'"


def read(data: bytes, source: str) -> tuple[Document | None, list[Diagnostic]]:
    """The document in `data`, as far as it can be read, and the problems of its text. Never raises."""
    if len(data) > MAX_BYTES:
        message = f"the file has {len(data):,} bytes; a manifest has at most {MAX_BYTES:,}"
        return None, [
            _at_top(source, "E002", message, "is this the right file? A manifest names data, it does not hold it")
        ]
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        return None, [_not_utf8(data, error, source)]
    lines = tuple(_LINE_END.split(text))
    if len(lines) > MAX_LINES:
        message = f"the file has {len(lines):,} lines; a manifest has at most {MAX_LINES:,}"
        return None, [
            _at_top(source, "E002", message, "is this the right file? A manifest names data, it does not hold it")
        ]
    if found := _unprintable(lines, source) or _conflicts(lines, source):
        return None, found
    if not any(line.strip() and not line.lstrip().startswith("#") for line in lines):
        what = "the file is empty" if not text.strip() else "the file holds nothing but comments"
        return None, [problem(source, lines, "E004", Span(1, 1, 1, 1), what, hint=_TEMPLATE)]
    from innereye_runtime.manifest.yaml.composer import compose  # ruamel.yaml takes 12 ms to import

    return compose(text, lines, source)


def _at_top(source: str, code: str, message: str, hint: str) -> Diagnostic:
    return problem(source, (), code, Span(1, 1, 1, 1), message, hint=hint)


def _not_utf8(data: bytes, error: UnicodeDecodeError, source: str) -> Diagnostic:
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    start = error.start + len(data) - len(error.object)  # a byte order mark was taken off
    lines = _LINE_END.split(error.object[: error.start].decode())
    line, column = len(lines), len(lines[-1]) + 1
    end = re.search(rb"[\r\n]", data[start:])
    shown = lines[-1] + data[start : start + end.start() if end else None].decode("utf-8", "replace")
    return Diagnostic(
        code="E001",
        message=f"not UTF-8: byte 0x{data[start]:02x} at offset {start}" + (" (this is UTF-16)" if utf16 else ""),
        span=Span(line, column, line, column + 1),
        source=source,
        lines=("",) if utf16 else (shown[:200],),
        hint="save the file as UTF-8" + ("" if utf16 else "; the text is perhaps in Latin-1 or Windows-1252"),
    )


def _unprintable(lines: tuple[str, ...], source: str) -> list[Diagnostic]:
    found = []
    for number, line in enumerate(lines, start=1):
        if match := UNPRINTABLE.search(line):
            column = match.start() + 1
            found.append(
                problem(
                    source,
                    lines,
                    "E003",
                    Span(number, column, number, column + 1),
                    f"the invisible character U+{ord(match[0]):04X} is not allowed in a manifest",
                    hint="delete it, or write it as an escape in double quotes",
                )
            )
        if len(found) > MAX_DIAGNOSTICS:
            break
    return found


def _conflicts(lines: tuple[str, ...], source: str) -> list[Diagnostic]:
    found = [(number, match) for number, line in enumerate(lines, start=1) if (match := _CONFLICT.fullmatch(line))]
    return [
        problem(
            source,
            lines,
            "E010",
            Span(number, 1, number, match.end() + 1),
            f"a merge was left unfinished: '{match[1]}' marks one side of a conflict",
            hint="keep one side, and delete the lines with <<<<<<<, ======= and >>>>>>>",
        )
        for number, match in found[: MAX_DIAGNOSTICS + 1]
        if match[1][0] == "<"
    ]
