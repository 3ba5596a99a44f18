"""The one type in which every problem of a manifest, a container argument or an override is told.

Codes: E0xx the text itself (YAML), E1xx the schema, E2xx several keys taken together, E3xx container arguments,
E4xx overrides on the command line; W and N carry warnings and notes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from innereye_runtime.redaction import redacted

Severity = Literal["error", "warning", "note"]

MAX_DIAGNOSTICS = 100
"""Diagnostics shown for one manifest; whoever collects them may stop soon after."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of text; lines and columns count from 1, columns in characters."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem: where it is, what is wrong and what to do about it.

    `source` is what stands before the position (the manifest as the user named it, or `<command line>`); `lines` are
    the lines of source text that `span` covers, the first being line `span.line`.
    """

    code: str
    message: str
    span: Span
    source: str
    lines: tuple[str, ...] = ()
    hint: str = ""
    severity: Severity = "error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", redacted(self.message))
        object.__setattr__(self, "hint", redacted(self.hint))
        if any(redacted(line) != line for line in self.lines):
            object.__setattr__(self, "lines", ())
