"""Diagnostics as a SARIF 2.1.0 log (https://docs.oasis-open.org/sarif/sarif/v2.1.0/), for code scanning services."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from innereye_runtime import __version__
from innereye_runtime.diagnostics.codes import help_text, title
from innereye_runtime.diagnostics.diagnostic import Diagnostic

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def log(diagnostics: Sequence[Diagnostic]) -> dict[str, Any]:
    """A log with one run; columns count characters, and the hint stands in the message."""
    codes = sorted({diagnostic.code for diagnostic in diagnostics})
    driver = {
        "name": "innereye-run",
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    results = [_result(diagnostic, codes.index(diagnostic.code)) for diagnostic in diagnostics]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": title(code)},
        "help": {"text": f"{title(code)}. {help_text(code)}"},
        "defaultConfiguration": {"level": {"E": "error", "W": "warning", "N": "note"}[code[0]]},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    text = diagnostic.message + (f" (hint: {diagnostic.hint})" if diagnostic.hint else "")
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": diagnostic.severity,
        "message": {"text": text},
        "locations": [_location(diagnostic)],
    }


def _location(diagnostic: Diagnostic) -> dict[str, Any]:
    if diagnostic.source.startswith("<"):  # the command line is no file
        return {"logicalLocations": [{"name": diagnostic.source, "kind": "parameter"}]}
    span, path = diagnostic.span, PurePath(diagnostic.source)
    region: dict[str, Any] = {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }
    if diagnostic.lines and diagnostic.lines[0]:
        region["snippet"] = {"text": "\n".join(diagnostic.lines)}
    uri = path.as_uri() if path.is_absolute() else quote(path.as_posix())
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}
