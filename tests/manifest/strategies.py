"""Valid manifests, and named mutations of them that know which lines they touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from innereye_runtime.manifest.schema import manifest_schema
from innereye_runtime.manifest.yaml.decode import read
from innereye_runtime.manifest.yaml.document import Document, Path

IDENTIFIERS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
MODULES = st.lists(IDENTIFIERS, min_size=1, max_size=3).map(".".join)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
FREE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | FINITE | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SIZES = st.builds("{}{}".format, st.integers(1, 999), st.sampled_from(["m", "g", "G", " GiB", "t"]))
DURATIONS = st.builds("{}{}".format, st.integers(1, 99), st.sampled_from(["s", "m", "h", "d", "h30m"]))
FOLDERS = st.lists(IDENTIFIERS, min_size=1, max_size=3).map(lambda parts: "/".join(["..", *parts]))
FILE_NAMES = st.from_regex(r"[A-Za-z0-9äöü .-]{1,20}", fullmatch=True)


def _some(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


DATASETS = _some(
    {"id": FILE_NAMES, "local": FOLDERS},
    {
        "mode": st.sampled_from(["mount", "download", "auto"]),
        "sha256": st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    },
)
GPUS = st.sampled_from(["none", "all"]) | st.integers(1, 16)
AZUREML = _some(
    {"cluster": IDENTIFIERS},
    {
        "workspace": FILE_NAMES,
        "experiment": FILE_NAMES,
        "image": IDENTIFIERS.map("i".__add__),
        "instance_type": IDENTIFIERS,
        "identity": st.sampled_from(["token", "managed", "user"]),
        "datastore": IDENTIFIERS,
        "tags": st.dictionaries(FILE_NAMES, FILE_NAMES, max_size=3),
    },
)
COMPUTE = _some(
    {"azureml": AZUREML},
    {
        "target": st.sampled_from(["process", "docker", "azureml"]),
        "gpus": GPUS,
        "nodes": st.just(1),
        "max_duration": DURATIONS,
        "retries": _some({}, {name: st.integers(0, 100) for name in ("preempted", "infrastructure", "user")}),
        "docker": _some(
            {}, {"image": IDENTIFIERS.map("i".__add__), "memory": st.just("64g"), "cpus": st.floats(0.5, 64)}
        ),
    },
)
MANIFESTS = _some(
    {
        "schema": st.just(1),
        "container": _some(
            {"class": IDENTIFIERS | st.builds("{}:{}".format, MODULES, IDENTIFIERS)},
            {
                "namespaces": st.lists(MODULES, unique=True, max_size=3),
                "args": st.dictionaries(IDENTIFIERS.map("x".__add__), FREE, max_size=4),
            },
        ),
    },
    {
        "name": FILE_NAMES,
        "datasets": st.lists(DATASETS, min_size=1, max_size=3),
        "trainer": _some(
            {}, {"num_epochs": st.integers(1, 10**6), "arguments": st.dictionaries(IDENTIFIERS.map("x".__add__), FREE)}
        ),
        "compute": COMPUTE,
        "outputs": _some(
            {}, {"folder": IDENTIFIERS.map("../outputs/".__add__), "expect": st.lists(IDENTIFIERS, unique=True)}
        ),
        "environment": st.dictionaries(IDENTIFIERS.map("E".__add__), TEXTS, max_size=3),
        "secrets": st.lists(IDENTIFIERS.map("S".__add__), unique=True, max_size=3),
    },
)
"""Valid by schema and by rules. Sizes are left out where two of them must agree."""


@dataclass(frozen=True, slots=True)
class Mutation:
    name: str
    text: str
    lines: range
    """Where a problem has to be told, if the text is no longer valid."""


VALUES = (
    *("", "~", "7", "-1", "0", "1.0", "1e-3", ".nan", "on", "true", "word", "'7'", '""', "[]", "{}", "2g", "0g"),
    *("*a", "!t x", "2024-01-01", "a: b", "'", "@", "azureml"),
)

Edit = Callable[[st.DataObject, Document, str], Mutation | None]


def document_of(text: str) -> Document:
    document, found = read(text.encode(), "m.yaml")
    assert document is not None and not found, found
    return document


def _paths(document: Document, kind: str, *, closed: bool = False) -> list[Path]:
    """Every value of a kind; with `closed`, only mappings of which the schema knows every key."""
    paths = [path for path, node in document.walk() if node.kind == kind]
    return [path for path in paths if not closed or _is_closed(path)]


def _is_closed(path: Path) -> bool:
    schema: Any = manifest_schema()
    for step in path:
        schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
        if "$ref" in schema:
            schema = manifest_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema.get("additionalProperties") is False or schema.get("unevaluatedProperties") is False


def _replace(document: Document, path: Path, new: str, *, key: bool = False) -> tuple[str, int]:
    """The text with the key or value at `path` written anew, and the line where that is."""
    node = document.node(path[:-1]).keys[str(path[-1])] if key else document.node(path)
    span, lines = node.span, list(document.lines)
    line = lines[span.line - 1]
    lines[span.line - 1] = line[: span.column - 1] + new + line[span.end_column - 1 :]
    return "\n".join(lines), span.line


def _block(document: Document, path: Path) -> range:
    """All lines of the value at `path`, with the line of its key."""
    span = document.node(path).span
    first = document.span(path, key=True).line if path else 1
    return range(min(first, span.line), span.end_line + 1)


def misspell_a_key(data: st.DataObject, document: Document, text: str) -> Mutation | None:
    keys = [(*path, key) for path in _paths(document, "mapping", closed=True) for key in document.node(path).keys]
    path = data.draw(st.sampled_from(keys))
    key = str(path[-1])
    at = data.draw(st.integers(0, len(key) - 1))
    text, line = _replace(document, path, key[:at] + key[at + 1 :] + "x", key=True)
    return Mutation("misspell a key", text, range(line, line + 1))


def delete_a_line(data: st.DataObject, document: Document, text: str) -> Mutation | None:
    lines = text.split("\n")
    number = data.draw(st.integers(1, len(lines) - 1))
    parents = [p for p in _paths(document, "mapping") + _paths(document, "sequence") if number in _block(document, p)]
    parent = max(parents, key=len, default=())
    block = _block(document, parent[:-1] if document.span(parent, key=True).line == number and parent else parent)
    del lines[number - 1]
    return Mutation("delete a line", "\n".join(lines), range(block.start, block.stop + 1))


def write_a_line_twice(data: st.DataObject, document: Document, text: str) -> Mutation | None:
    lines = text.split("\n")
    number = data.draw(st.integers(1, len(lines) - 1))
    lines.insert(number, lines[number - 1])
    parents = [p for p in _paths(document, "sequence") if number in _block(document, p)]
    block = _block(document, max(parents, key=len)) if parents else range(number, number)
    return Mutation(
        "write a line twice", "\n".join(lines), range(min(number, block.start), max(number, block.stop) + 3)
    )


def write_another_value(data: st.DataObject, document: Document, text: str) -> Mutation | None:
    path = data.draw(st.sampled_from(_paths(document, "scalar")))
    new = data.draw(st.sampled_from(VALUES))
    text, line = _replace(document, path, new)
    return Mutation(f"write {new!r}", text, _far(document, path, line))


def indent_by_a_tab(data: st.DataObject, document: Document, text: str) -> Mutation | None:
    lines = text.split("\n")
    indented = [n for n, line in enumerate(lines) if line.startswith("  ")]
    if not indented:
        return None
    number = data.draw(st.sampled_from(indented))
    lines[number] = "\t" + lines[number].lstrip()
    return Mutation("indent by a tab", "\n".join(lines), range(number + 1, number + 2))


def _far(document: Document, path: Path, line: int) -> range:
    """The line, and where the target is another one, what that target needs."""
    if path == ("compute", "target"):
        return range(1, len(document.lines) + 1)
    parents = [p for p in (path[:n] for n in range(1, len(path))) if document.node(p).kind == "sequence"]
    block = _block(document, parents[0]) if parents else range(line, line + 1)
    return range(min(line, block.start), max(line + 1, block.stop) + (1 if path == path[:1] else 0))


MUTATIONS: tuple[Edit, ...] = (
    misspell_a_key,
    delete_a_line,
    write_a_line_twice,
    write_another_value,
    indent_by_a_tab,
)
