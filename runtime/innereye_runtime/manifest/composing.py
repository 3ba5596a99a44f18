"""The events of ruamel.yaml -> nodes with spans. Counts and bounds as it goes; goes on past every problem that lets it."""

from __future__ import annotations

import re
from dataclasses import replace
from math import isfinite
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

from innereye_runtime.manifest.diagnostics import Diagnostic, Span
from innereye_runtime.manifest.document import Document, Node, problem
from innereye_runtime.manifest.scalars import like_yaml_1_1, resolve
from innereye_runtime.manifest.syntax import explain
from innereye_runtime.manifest.words import clip, quote

MAX_DEPTH = 64
MAX_NODES = 20_000

_SURROGATE = re.compile("[\ud800-\udfff]")
_CORE = "tag:yaml.org,2002:"
_TYPES: dict[str, tuple[type, ...]] = {
    _CORE + "str": (str,),
    _CORE + "int": (int,),
    _CORE + "float": (float, int),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}


def compose(text: str, lines: tuple[str, ...], source: str) -> tuple[Document | None, list[Diagnostic]]:
    """The document in `text` and the problems of its YAML; None where they leave no mapping to look at."""
    composer = _Composer(text, lines, source)
    try:
        root = composer.document()
    except _Stop:
        root = None
    return (None if root is None else Document(source=source, lines=lines, root=root)), composer.found


class _Stop(Exception):
    """There is no way to read on."""


class _Loader(SafeLoader):
    """Refuses brackets beyond the depth limit while scanning: the scanner's cost grows with their square."""

    def fetch_flow_collection_start(self, token: Any, to_push: str) -> None:
        if len(self.flow_context) >= MAX_DEPTH:
            raise _TooDeep
        super().fetch_flow_collection_start(token, to_push)

    def fetch_directive(self) -> None:
        raise _Directive


class _TooDeep(Exception):
    pass


class _Directive(Exception):
    pass


class _Composer:
    def __init__(self, text: str, lines: tuple[str, ...], source: str) -> None:
        self.lines, self.source = lines, source
        self.found: list[Diagnostic] = []
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
            self._report(
                "E006",
                _span(after),
                "a second document starts here; a manifest is one document",
                "delete the '---' line, or put the second manifest into a file of its own",
            )
        if root.kind == "mapping":
            return root
        if root.value is None:
            self._report(
                "E004", Span(1, 1, 1, len(self.lines[0]) + 1), "the document is empty", "write 'schema: 1' first"
            )
        else:
            what = {"sequence": "a list"}.get(root.kind) or describe(root.value)
            span = replace(root.span, end_line=root.span.line, end_column=root.span.column + 1)
            message = f"a manifest is a mapping, 'key: value', and this is {what}"
            self._report("E005", span if root.kind == "sequence" else root.span, message, "start with 'schema: 1'")
        return None

    def _next(self) -> Any:
        try:
            return self.loader.parser.get_event()
        except _TooDeep:
            self._too_deep(self._here())
        except _Directive as error:
            message = "a line that starts with '%' is an instruction to the YAML reader"
            self._report("E003", self._here(), message, "delete it; a manifest needs none")
            raise _Stop from error
        except MarkedYAMLError as error:
            self.found += explain(error, self.lines, self.source)
            raise _Stop from error
        except (ValueError, OverflowError, LookupError) as error:  # an escape that names no character
            message = "this escape names no character"
            self._report(
                "E003", self._here(), message, "a code point is at most \\U0010FFFF, written as hexadecimal digits"
            )
            raise _Stop from error

    def _node(self, event: Any, depth: int) -> Node:
        span = _span(event)
        if depth > MAX_DEPTH:
            self._too_deep(span)
        if isinstance(event, AliasEvent):
            return self._alias(event, span, depth)
        self._spend(1, span, "the manifest")
        if event.anchor:
            self.open.add(event.anchor)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event, span)
        else:
            mapping = isinstance(event, MappingStartEvent)
            tag = str(event.ctag) if event.ctag else None
            if tag not in (None, "!", _CORE + ("map" if mapping else "seq")):
                self._tag(str(tag), span)
            node = self._mapping(event, span, depth) if mapping else self._sequence(event, span, depth)
        if event.anchor:
            self.open.discard(event.anchor)
            self.anchors[event.anchor] = node
        return node

    def _alias(self, event: Any, span: Span, depth: int) -> Node:
        name = event.anchor
        if name in self.open:
            self._report(
                "E013",
                span,
                f"'*{name}' stands inside what it names: the manifest would never end",
                "write the value out",
            )
            raise _Stop
        if name not in self.anchors:
            known = ", ".join(f"*{anchor}" for anchor in self.anchors) or "there are none"
            self._report(
                "E018",
                span,
                f"'*{clip(name)}' names nothing above",
                f"anchors so far: {clip(known)}; or put the text in quotes",
            )
            return Node("scalar", f"*{name}", span)
        target = self.anchors[name]
        if depth + target.height - 1 > MAX_DEPTH:
            self._too_deep(span)
        self._spend(target.size, span, f"with '*{clip(name)}' expanded, the manifest")
        return replace(target, span=span, plain=False)

    def _scalar(self, event: Any, span: Span) -> Node:
        text, tag = event.value, str(event.ctag) if event.ctag else None
        plain = event.style is None and not tag
        if _SURROGATE.search(text):
            self._report(
                "E003",
                span,
                "this escape names half a character",
                "write the character itself, or \\U and eight digits",
            )
            text = _SURROGATE.sub("\ufffd", text)
        if event.style in ("|", ">"):
            span = self._without_blank_lines(span)
        if event.style is not None and tag is None:
            return Node("scalar", text, span, False, text)
        try:
            value = text if tag in ("!", _CORE + "str") else resolve(text)
        except ValueError as error:
            self._report(
                "E017",
                span,
                f"{error}: more than a manifest can hold",
                "write a shorter number, or put the text in quotes",
            )
            value = 0
        if tag in _TYPES and not (
            isinstance(value, _TYPES[tag]) and isinstance(value, bool) == (tag == _CORE + "bool")
        ):
            self._tag(tag, span, f"'{quote(text)}' is not what the tag says")
        elif tag not in (None, "!") and tag not in _TYPES:
            self._tag(str(tag), span)
        if isinstance(value, float) and not isfinite(value):
            what = "too large for a number" if text.strip("+-")[0] != "." else "not a finite number"
            self._report(
                "E017", span, f"{clip(text)} is {what}", "leave the key out to have no limit, or write a finite number"
            )
            value = 0.0
        if plain and isinstance(value, str) and like_yaml_1_1(text) == "date":
            hint = f'write "{text}" in quotes, so that every YAML reader takes it for text'
            self._report(
                "W001", span, f"{clip(text)} is read as text here, and as a date by YAML 1.1", hint, severity="warning"
            )
        return Node("scalar", value, span, plain, text)

    def _without_blank_lines(self, span: Span) -> Span:
        """The place of a block of text; the parser would let it end where the next key starts."""
        end = min(span.end_line, len(self.lines))
        while end > span.line and (end == span.end_line or not self.lines[end - 1].strip()):
            end -= 1
        return replace(span, end_line=end, end_column=len(self.lines[end - 1]) + 1)

    def _sequence(self, event: Any, span: Span, depth: int) -> Node:
        children: dict[str | int, Node] = {}
        flow, following = event.flow_style, self._next()
        while not isinstance(following, SequenceEndEvent):
            children[len(children)] = self._node(following, depth + 1)
            following = self._next()
        value = [child.value for child in children.values()]
        return _collection("sequence", value, span, children, {}, _end(following) if flow else None)

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
            if self._accepts(key, keys):
                keys[key.value], children[key.value] = key, last
            else:
                partial = True
        value = {name: child.value for name, child in children.items()}
        node = _collection("mapping", value, span, children, keys, _end(following) if flow else None)
        if partial and last is not None and not flow and last.span > node.span:
            node = replace(node, span=replace(node.span, end_line=last.span.end_line, end_column=last.span.end_column))
        return replace(node, partial=partial)

    def _accepts(self, key: Node, keys: dict[str, Node]) -> bool:
        if key.kind != "scalar":
            what = "a list" if key.kind == "sequence" else "a mapping"
            hint = "put the key in quotes; a value in braces, such as {x}, needs quotes too"
            self._report("E009", _first_line(key.span, self.lines), f"a key is text, and this one is {what}", hint)
        elif key.plain and key.text == "<<":
            hint = "write the keys out; a whole value can be used again, with &name and *name"
            self._report("E011", key.span, "'<<' would merge another mapping, which is not part of YAML 1.2", hint)
        elif key.value is None:
            self._report(
                "E008",
                key.span,
                "the key before ':' is missing" if not key.text else f"the key {key.text} is null, not text",
                f'write a key, or "{key.text}" in quotes' if key.text else "write a key, or delete the line",
            )
        elif not isinstance(key.value, str):
            what = "a boolean" if isinstance(key.value, bool) else "a number"
            self._report(
                "E008",
                key.span,
                f"the key {clip(key.text)} is {what}, and keys are text",
                f'write "{clip(key.text)}" in quotes',
            )
        elif key.value in keys:
            first = keys[key.value].span.line
            self._report(
                "E007",
                key.span,
                f"'{quote(key.value)}' is written twice; the first is in line {first}",
                "keep one of the two",
            )
        else:
            return True
        return False

    def _tag(self, tag: str, span: Span, message: str = "") -> None:
        shown = "!!" + tag.removeprefix(_CORE) if tag.startswith(_CORE) else tag
        hint = "delete the tag; a manifest has text, numbers, true, false, lists and mappings"
        self._report(
            "E016", _first_line(span, self.lines), message or f"the tag '{quote(shown)}' means nothing here", hint
        )

    def _spend(self, nodes: int, span: Span, what: str) -> None:
        self.count += nodes
        if self.count > MAX_NODES:
            hint = "aliases of aliases grow fast: write out what is needed" if nodes > 1 else "is this the right file?"
            self._report("E014", span, f"{what} has more than {MAX_NODES:,} values", hint)
            raise _Stop

    def _too_deep(self, span: Span) -> Never:
        self._report(
            "E015",
            span,
            f"nested more than {MAX_DEPTH} levels deep",
            "is a bracket never closed? No manifest needs this",
        )
        raise _Stop

    def _here(self) -> Span:
        line, column = self.loader.reader.line + 1, self.loader.reader.column + 1
        return Span(line, column, line, column + 1)

    def _report(self, code: str, span: Span, message: str, hint: str, severity: Any = "error") -> None:
        self.found.append(problem(self.source, self.lines, code, span, message, hint=hint, severity=severity))


def describe(value: Any) -> str:
    """What a value is, in a reader's words."""
    match value:
        case None:
            return "empty"
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


def _collection(
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
        first = min((node.span for node in keys.values()), default=span) if keys else span
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


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


def _end(event: Any) -> tuple[int, int]:
    return event.end_mark.line + 1, event.end_mark.column + 1
