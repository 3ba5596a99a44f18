"""All Swagger 2.0 files of one api-version, as JSON Schema 2020-12 and a table of routes.

No validator can use them as they are: `discriminator` is not a JSON Schema keyword, so that only a base class would be
checked, and unknown properties are allowed everywhere. Here each base class becomes one if/then for each subtype, and
every object is closed by `unevaluatedProperties`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

from tests.emulator_contract.schema_errors import schema_errors

FILES = ("mfe", "machineLearningServices", "workspaceRP", "registries", "workspaceFeatures")
_KEPT = frozenset(
    (
        *("type", "enum", "const", "required", "pattern", "minLength", "maxLength"),
        *("minimum", "maximum", "multipleOf", "minItems", "maxItems", "uniqueItems"),
    )
)
_FORMATS = {"date-time", "uuid", "duration"}

Schema = dict[str, Any]
Key = tuple[Path, str]
"""The file of a definition, and its name there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One verb on one path."""

    verb: str
    shape: re.Pattern[str]
    content: Mapping[str, Any]
    file: Path

    @property
    def id(self) -> str:
        return str(self.content["operationId"])


class Swagger:
    """`answers`: convert for responses (which may have read-only properties), not for requests."""

    def __init__(self, folder: Path, *, answers: bool = False) -> None:
        self._answers = answers
        self._documents: dict[Path, Any] = {}
        self._schemas: dict[str, Schema] = {}
        self._operations: list[Operation] = []
        for name in FILES:
            file = (folder / f"{name}.json").resolve()
            if file.exists():
                self._operations += _operations(self._load(file), file)
        self._subtypes: dict[Key, list[Key]] = {}
        for file, document in self._documents.items():
            for name, schema in document.get("definitions", {}).items():
                for parent in schema.get("allOf", ()):
                    if "$ref" in parent:
                        self._subtypes.setdefault(_target(parent["$ref"], file), []).append((file, name))

    def find(self, verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation and the values of its path parameters."""
        for operation in self._operations:
            match = operation.verb == verb and operation.shape.match(path)
            if match:
                return operation, match.groupdict()
        return None

    def parameters(self, operation: Operation) -> Iterator[Mapping[str, Any]]:
        for parameter in operation.content.get("parameters", ()):
            if "$ref" in parameter:
                file, name = _target(parameter["$ref"], operation.file)
                yield self._documents[file]["parameters"][name]
            else:
                yield parameter

    def errors(self, schema: Mapping[str, Any], file: Path, value: Any) -> list[str]:
        """Violations of a schema of `file` by `value`, each a sentence that begins with the place."""
        converted = self._convert(schema, file)
        validator = Draft202012Validator({**converted, "$defs": self._schemas}, format_checker=FormatChecker())
        return schema_errors(validator.iter_errors(value), lambda ref: self._schemas[_unescape(ref)])

    def _load(self, file: Path) -> Any:
        if file not in self._documents:
            text = file.read_text(encoding="utf-8")
            self._documents[file] = json.loads(text)
            for reference in set(re.findall(r'"\$ref": "([^"#]+)#', text)):
                if "examples" not in reference:
                    self._load((file.parent / reference).resolve())
        return self._documents[file]

    def _definition(self, key: Key) -> Mapping[str, Any]:
        definition: Mapping[str, Any] = self._documents[key[0]]["definitions"][key[1]]
        return definition

    def _descendants(self, key: Key) -> Iterator[Key]:
        for subtype in self._subtypes.get(key, ()):
            yield subtype
            yield from self._descendants(subtype)

    def _parents(self, key: Key) -> Iterator[Key]:
        for parent in self._definition(key).get("allOf", ()):
            if "$ref" in parent:
                yield _target(parent["$ref"], key[0])

    def _use(self, key: Key) -> Schema:
        """A reference to the definition as a property has it: closed, and with its subtypes distinguished."""
        name = _label("use", key)
        if name not in self._schemas:
            self._schemas[name] = {}  # a definition may hold itself
            definition = self._definition(key)
            parts: list[Schema] = [self._plain(key)]
            subtypes = list(self._descendants(key))
            tag = self._discriminator(key)
            if subtypes and tag:
                cases = {self._definition(kid).get("x-ms-discriminator-value", kid[1]): kid for kid in subtypes}
                known = sorted({*cases, *filter(None, [definition.get("x-ms-discriminator-value")])})
                parts.append({"required": [tag], "properties": {tag: {"enum": known}}})
                for value, kid in sorted(cases.items()):
                    chosen = {"properties": {tag: {"const": value}}, "required": [tag]}
                    parts.append({"if": chosen, "then": self._plain(kid)})
            made: Schema = {"allOf": parts}
            is_open = definition.get("additionalProperties", False) is not False
            if definition.get("type", "object") == "object" and not is_open and (self._has_properties(key) or subtypes):
                made["unevaluatedProperties"] = False
            self._schemas[name] = made
        return _reference(name)

    def _plain(self, key: Key) -> Schema:
        """A reference to the definition by itself, open, as a part of another."""
        name = _label("plain", key)
        if name not in self._schemas:
            self._schemas[name] = {}
            self._schemas[name] = self._convert(self._definition(key), key[0])
        return _reference(name)

    def _discriminator(self, key: Key) -> str | None:
        if "discriminator" in self._definition(key):
            return str(self._definition(key)["discriminator"])
        return next(filter(None, map(self._discriminator, self._parents(key))), None)

    def _has_properties(self, key: Key) -> bool:
        return bool(self._definition(key).get("properties")) or any(map(self._has_properties, self._parents(key)))

    def _convert(self, schema: Mapping[str, Any], file: Path) -> Schema:
        if "$ref" in schema:
            return self._use(_target(schema["$ref"], file))
        # Extensible enums (x-ms-enum.modelAsString) are taken as closed: one fixed api-version is spoken here.
        made: Schema = {keyword: value for keyword, value in schema.items() if keyword in _KEPT}
        if made.get("type") == "file":
            return {}
        if schema.get("format") in _FORMATS:
            made["format"] = schema["format"]
        if "properties" in schema:
            made["properties"] = {}
            for name, part in schema["properties"].items():
                read_only = part.get("readOnly") and not self._answers
                made["properties"][name] = {} if read_only else self._convert(part, file)
                if read_only:
                    made["required"] = [required for required in made.get("required", ()) if required != name]
        for keyword in ("additionalProperties", "items"):
            if isinstance(schema.get(keyword), dict):
                made[keyword] = self._convert(schema[keyword], file)
        if "allOf" in schema:
            made["allOf"] = [
                self._plain(_target(part["$ref"], file)) if "$ref" in part else self._convert(part, file)
                for part in schema["allOf"]
            ]
        if made.get("required") == []:
            del made["required"]
        return {"anyOf": [{"type": "null"}, made]} if schema.get("x-nullable") else made


def _operations(document: Any, file: Path) -> Iterator[Operation]:
    for path, verbs in document.get("paths", {}).items():
        pattern = re.sub(r"\\{[^}]+\\}", lambda match: f"(?P<{match[0][2:-2]}>[^/]+)", re.escape(path))
        for verb, content in verbs.items():
            if verb != "parameters":
                shape = re.compile(f"^{pattern}/?$", re.IGNORECASE)
                yield Operation(verb=verb.upper(), shape=shape, content=content, file=file)


def _target(reference: str, file: Path) -> Key:
    place, _, pointer = reference.partition("#")
    return (file.parent / place).resolve() if place else file, pointer.rsplit("/", 1)[1]


def _label(kind: str, key: Key) -> str:
    return f"{kind}:{key[0].stem}:{key[1]}"


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name.replace('/', '~1')}"}


def _unescape(reference: str) -> str:
    return reference.removeprefix("#/$defs/").replace("~1", "/")
