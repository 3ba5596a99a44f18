"""A manifest's text as a tree of nodes, each with its exact place: what every later stage points into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Severity, Span
from innereye_runtime.diagnostics.text import quote

Path = tuple[str | int, ...]
"""The keys and list indices that lead from the top of a manifest to a value."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value as it was written. `children` has a key or an index for each child; `keys` has the keys' own nodes."""

    kind: Literal["scalar", "mapping", "sequence"]
    value: Any
    span: Span
    plain: bool = False
    """A scalar without quotes, block indicator or tag."""
    text: str = ""
    """Of a scalar: its characters, before they were read as a number, a boolean or null."""
    children: Mapping[str | int, Node] = field(default_factory=dict)
    keys: Mapping[str, Node] = field(default_factory=dict)
    size: int = 1
    """Nodes in this tree, aliases counted as often as they are used."""
    height: int = 1
    alias: str = ""
    """The name, where this is a use of what was written elsewhere."""
    partial: bool = False
    """A mapping of which a part could not be read, so that a key that seems missing may well be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of one manifest, its value as plain data, and the place of every key and value in it."""

    source: str
    """The manifest as the user named it."""
    lines: tuple[str, ...]
    root: Node
    private: Span | None = None
    """The lines of it are never shown: secrets stand there with their values, and many read the log of a CI."""

    settings: int = 0
    """How many of the last lines are settings of the command line, and no text of the manifest."""

    def is_setting(self, span: Span) -> bool:
        """Whether a place is one of the command line."""
        return span.line > len(self.lines) - self.settings

    @property
    def value(self) -> Any:
        """Plain data: dict, list, str, int, float, bool, None. Uses of one alias share it: not to be changed."""
        return self.root.value

    def node(self, path: Path) -> Node:
        """The node at `path`.

        Raises:
            KeyError: no such key or index in the text.
        """
        node = self.root
        for step in path:
            node = node.children[step]
        return node

    def span(self, path: Path, key: bool = False) -> Span:
        """Where the value at `path` is written, or its key with `key=True`.

        A value without text of its own (an empty one) has the place of its key, and the top of the document that of its
        first key. Where `path` leads further than the text does, the last part that is there counts.
        """
        node, name = self.root, None
        for step in path:
            if step not in node.children:
                return (name or node).span
            name = node.keys.get(step) if isinstance(step, str) else None
            node = node.children[step]
        if not path and node.keys:
            return next(iter(node.keys.values())).span
        if key or (node.kind == "scalar" and node.span.line == node.span.end_line and _width(node.span) == 0):
            return (name or node).span
        return node.span

    def written(self, path: Path) -> str:
        """The first line of the source text of the value at `path`, as it stands there."""
        span = self.node(path).span
        line = self.lines[span.line - 1] if span.line <= len(self.lines) else ""
        return line[span.column - 1 : span.end_column - 1 if span.end_line == span.line else None]

    def alias_in(self, path: Path) -> Path | None:
        """The first part of `path` whose value is an alias, so that what follows is written elsewhere."""
        return next((path[:n] for n in range(1, len(path) + 1) if self._is_alias(path[:n])), None)

    def _is_alias(self, path: Path) -> bool:
        try:
            return bool(self.node(path).alias)
        except KeyError:
            return False

    def walk(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Every node at and below `path` in source order, parents before children."""
        node = self.node(path)
        yield path, node
        for step in node.children:
            yield from self.walk((*path, step))

    def diagnostic(
        self, code: str, span: Span, message: str, *, hint: str = "", severity: Severity = "error"
    ) -> Diagnostic:
        """A problem of this document, with the lines of text that `span` covers where they are not private."""
        return self.redacted(problem(self.source, self.lines, code, span, message, hint=hint, severity=severity))

    def redacted(self, diagnostic: Diagnostic) -> Diagnostic:
        """`diagnostic` without its lines where they are private."""
        span, private = diagnostic.span, self.private
        if private is None or span.end_line < private.line or private.end_line < span.line:
            return diagnostic
        return replace(diagnostic, lines=())


def problem(
    source: str,
    lines: tuple[str, ...],
    code: str,
    span: Span,
    message: str,
    *,
    hint: str = "",
    severity: Severity = "error",
) -> Diagnostic:
    """A problem in text that is no document yet."""
    return Diagnostic(
        code=code,
        message=message,
        span=span,
        source=source,
        lines=lines[span.line - 1 : span.end_line] or ("",),
        hint=hint,
        severity=severity,
    )


def dotted(path: Path) -> str:
    """`compute.docker.memory`, `datasets[1].id`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{quote(step)}" if text else quote(step)
    return text


def _width(span: Span) -> int:
    return span.end_column - span.column
