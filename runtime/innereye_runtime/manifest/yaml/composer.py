"""The events of ruamel.yaml -> nodes with spans. Counts and bounds as it goes, and goes on where a problem lets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Never

from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from ruamel.yaml.loader import SafeLoader

from innereye_runtime.diagnostics.diagnostic import Diagnostic, Span
from innereye_runtime.diagnostics.text import clip
from innereye_runtime.manifest.yaml.document import Document, Node
from innereye_runtime.manifest.yaml.nodes import (
    CORE,
    ProblemLimitError,
    Reporter,
    check_mapping_key,
    collection,
    describe,
    end_of,
    refuse_tag,
    scalar,
    span_of,
)

MAX_DEPTH = 64
MAX_NODES = 20_000


def compose(text: str, lines: tuple[str, ...], source: str) -> tuple[Document | None, list[Diagnostic]]:
    """The document in `text` and the problems of its YAML; None where they leave no mapping to look at."""
    composer = _Composer(text, lines, source)
    try:
        root = composer.document()
    except (_UnreadableError, ProblemLimitError):
        root = None
    return (None if root is None else Document(source=source, lines=lines, root=root)), composer.report.found


class _UnreadableError(Exception):
    """There is no way to read on."""


class _Loader(SafeLoader):
    """Refuses brackets beyond the depth limit while scanning: the scanner's cost grows with their square."""

    def fetch_flow_collection_start(self, token: Any, to_push: str) -> None:
        if len(self.flow_context) >= MAX_DEPTH:
            raise _DepthError
        super().fetch_flow_collection_start(token, to_push)

    def fetch_directive(self) -> None:
        raise _DirectiveError


class _DepthError(Exception):
    pass


class _DirectiveError(Exception):
    pass


class _Composer:
    def __init__(self, text: str, lines: tuple[str, ...], source: str) -> None:
        self.lines, self.source = lines, source
        self.report = Reporter(lines, source)
        self.loader = _Loader(text)
        self.anchors: dict[str, Node] = {}
        self.open: set[str] = set()
        self.count = 0

    def document(self) -> Node | None:
        self._next()  # start of the stream
        start = self._next()
        if not isinstance(start, DocumentStartEvent):
            return None
        root = self._node(self._next(), 1)
        self._next()  # end of the document
        after = self._next()
        if not isinstance(after, StreamEndEvent):
            marker = "---" if self.lines[after.start_mark.line].startswith("---") else "..."
            self.report(
                "E006",
                span_of(after),
                "a second document starts here; a manifest is one document",
                f"delete the '{marker}' line, or put the second manifest into its own file",
            )
        if root.kind == "mapping":
            return root
        if root.value is None:
            self.report(
                "E004", Span(1, 1, 1, len(self.lines[0]) + 1), "the document is empty", "write 'schema: 1' first"
            )
        else:
            span = replace(root.span, end_line=root.span.line, end_column=root.span.column + 1)
            message = f"a manifest is a mapping, 'key: value', and this is {describe(root.value)}"
            self.report("E005", span if root.kind == "sequence" else root.span, message, "start with 'schema: 1'")
        return None

    def _next(self) -> Any:
        try:
            return self.loader.parser.get_event()
        except _DepthError:
            self._too_deep(self._here())
        except _DirectiveError as error:
            message = "a line that starts with '%' is an instruction to the YAML reader"
            self.report("E003", self._here(), message, "delete it; a manifest needs none")
            raise _UnreadableError from error
        except MarkedYAMLError as error:
            from innereye_runtime.manifest.yaml.syntax_errors import (
                friendly_message,  # its table is needed only for a mistake
            )

            self.report.found += friendly_message(error, self.lines, self.source)
            raise _UnreadableError from error
        except (ValueError, OverflowError, LookupError) as error:  # an escape that names no character
            message = "this escape names no character"
            self.report(
                "E003", self._here(), message, "a code point is at most \\U0010FFFF, written as hexadecimal digits"
            )
            raise _UnreadableError from error

    def _node(self, event: Any, depth: int) -> Node:
        span = span_of(event)
        if depth > MAX_DEPTH:
            self._too_deep(span)
        if isinstance(event, AliasEvent):
            return self._alias(event, span, depth)
        self._spend(1, span, "the manifest")
        if event.anchor:
            self.open.add(event.anchor)
        if isinstance(event, ScalarEvent):
            node = scalar(event, span, self.report)
        else:
            mapping = isinstance(event, MappingStartEvent)
            tag = str(event.ctag) if event.ctag else None
            if tag not in (None, "!", CORE + ("map" if mapping else "seq")):
                refuse_tag(str(tag), span, self.report)
            node = self._mapping(event, span, depth) if mapping else self._sequence(event, span, depth)
        if event.anchor:
            self.open.discard(event.anchor)
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, span: Span, depth: int) -> Node:
        name = event.anchor
        if name in self.open:
            self.report(
                "E013",
                span,
                f"'*{name}' is inside what it refers to: the manifest would never end",
                "write the value out",
            )
            raise _UnreadableError
        if name not in self.anchors:
            known = ", ".join(f"*{anchor}" for anchor in self.anchors)
            self.report(
                "E018",
                span,
                f"'*{clip(name)}' names nothing above",
                "put the text in quotes" + (f", or use what is named above: {clip(known)}" if known else ""),
            )
            return Node("scalar", f"*{name}", span)
        target = self.anchors[name]
        if depth + target.height - 1 > MAX_DEPTH:
            self._too_deep(span)
        self._spend(target.size, span, f"with '*{clip(name)}' expanded, the manifest")
        return replace(target, span=span, plain=False, alias=name)

    def _sequence(self, event: Any, span: Span, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        flow, following = event.flow_style, self._next()
        while not isinstance(following, SequenceEndEvent):
            children[len(children)] = self._node(following, depth + 1)
            following = self._next()
        value = [child.value for child in children.values()]
        return collection("sequence", value, span, children, {}, end_of(following) if flow else None)

    def _mapping(self, event: Any, span: Span, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        keys: dict[str, Node] = {}
        partial, last, flow = False, None, event.flow_style
        while True:
            following = self._next()
            if type(following).__name__ == "MappingEndEvent":
                break
            key = self._node(following, depth + 1)
            last = self._node(self._next(), depth + 1)
            if check_mapping_key(key, keys, self.report):
                keys[key.value], children[key.value] = key, last
            else:
                partial = True
        value = {name: child.value for name, child in children.items()}
        node = collection("mapping", value, span, children, keys, end_of(following) if flow else None)
        if partial and last is not None and not flow and last.span > node.span:
            node = replace(node, span=replace(node.span, end_line=last.span.end_line, end_column=last.span.end_column))
        return replace(node, partial=partial)

    def _spend(self, nodes: int, span: Span, what: str) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            hint = "aliases of aliases grow fast: write out what is needed" if nodes > 1 else "is this the right file?"
            self.report("E014", span, f"{what} has more than {MAX_NODES:,} values", hint)
            raise _UnreadableError

    def _too_deep(self, span: Span) -> Never:
        self.report(
            "E015",
            span,
            f"nested more than {MAX_DEPTH} levels deep",
            "is a bracket never closed? No manifest needs this",
        )
        raise _UnreadableError

    def _here(self) -> Span:
        line, column = self.loader.reader.line + 1, self.loader.reader.column + 1
        return Span(line, column, line, column + 1)
