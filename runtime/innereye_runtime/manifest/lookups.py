"""What the schema says of a key, in words for a message: what it has to be, an example, where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from innereye_runtime.manifest.schema import Departure, manifest_schema
from innereye_runtime.manifest.yaml.document import Path
from innereye_runtime.manifest.yaml.scalars import resolve

_NOUNS = {
    "object": "a mapping",
    "string": "text",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def type_label(departure: Departure) -> str:
    schema = departure.schema if "type" in departure.schema else schema_at(departure.path)
    if choices := schema.get("enum"):
        return f"one of {', '.join(choices)}"
    return str(schema.get("title") or _NOUNS[schema["type"]])


def example(departure: Departure) -> str:
    examples = departure.schema.get("examples") or schema_at(departure.path).get("examples")
    return f", for example {as_yaml(examples[0])}" if examples and "such as" not in type_label(departure) else ""


def as_yaml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case dict():
            return "{" + ", ".join(f"{key}: {as_yaml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_yaml, value)) + "]"
        case str() if not isinstance(resolve(value), str) or "{" in value:
            return f'"{value}"'
    return str(value)


def as_class(text: str) -> str:
    """The class that `text` was meant to name, a file or a name with dots, as `package.module:ClassName`."""
    place, colon, name = text.replace("\\", "/").removesuffix("()").rpartition(":")
    if not colon and ("/" in name or name.endswith(".py")):
        place, name = name, "ClassName"
    elif not colon:
        place, _, name = name.rpartition(".")
    return f"{place.removesuffix('.py').strip('./').replace('/', '.')}:{name}"


def schema_at(path: Path) -> Mapping[str, Any]:
    schema: Any = manifest_schema()
    for step in path:
        schema = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step, {})
        if "$ref" in schema:
            schema = {**manifest_schema()["$defs"][schema["$ref"].rpartition("/")[2]], **schema}
    return schema  # type: ignore[no-any-return]


def parent_keys() -> dict[str, tuple[str, str]]:
    """For each key of the format that has one home, or stands at the top: (the mapping that it stands in, the key)."""
    found: dict[str, list[str]] = {}
    waiting: list[tuple[str, Mapping[str, Any]]] = [("", manifest_schema())]
    while waiting:
        home, schema = waiting.pop(0)
        for name, part in schema.get("properties", {}).items():
            found.setdefault(name, []).append(home)
            waiting.append((f"{home}.{name}" if home else name, part))
    return {name: (homes[0], name) for name, homes in found.items() if len(homes) == 1 or homes[0] == ""}
