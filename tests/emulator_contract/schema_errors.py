"""The errors of a JSON Schema validator, reduced to the informative ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from jsonschema.exceptions import ValidationError

Lookup = Callable[[str], Any]
"""The schema that a `$ref` points to."""


@dataclass(frozen=True, slots=True)
class _SchemaError:
    text: str
    is_unevaluated: bool = False
    is_certain: bool = False
    """An unevaluated property that no branch of the schema knows."""


def schema_errors(errors: Iterable[ValidationError], lookup: Lookup) -> list[str]:
    """One sentence for each error, `$.path: message`, in the order found.

    A branch that fails also makes its own good properties "unevaluated", so that an error on a parent repeats its
    child's: of those, only names that no branch knows are kept.
    """
    found = [leaf for error in errors for leaf in _leaves(error, lookup)]
    sure = [leaf for leaf in found if not leaf.is_unevaluated or leaf.is_certain]
    return list(dict.fromkeys(leaf.text for leaf in sure or found))


def _leaves(error: ValidationError, lookup: Lookup) -> list[_SchemaError]:
    if error.context and error.validator in ("oneOf", "anyOf"):
        return [leaf for child in _best_branch(error) for leaf in _leaves(child, lookup)]
    if error.validator == "unevaluatedProperties" and isinstance(error.instance, dict):
        unknown = sorted(set(error.instance) - _property_names(error.schema, lookup))
        if unknown:
            return [_SchemaError(f"{error.json_path}: unknown properties {unknown}", True, True)]
        return [_SchemaError(f"{error.json_path}: {error.message}", True)]
    return [_SchemaError(f"{error.json_path}: {error.message}")]


def _best_branch(error: ValidationError) -> list[ValidationError]:
    """The errors of the branch that was most likely meant: the one whose discriminator matches, never the null of a
    nullable.
    """
    branches: dict[Any, list[ValidationError]] = {}
    for child in error.context or ():
        branches.setdefault(child.schema_path[0], []).append(child)
    if len(branches) > 1:
        branches = {
            key: branch
            for key, branch in branches.items()
            if not (branch[0].validator == "type" and branch[0].validator_value == "null")
        }

    def mismatch(branch: list[ValidationError]) -> tuple[int, int]:
        wrong = sum(child.validator in ("const", "enum") and len(child.path) == 1 for child in branch)
        return wrong, len(branch)

    return min(branches.values(), key=mismatch)


def _property_names(schema: Any, lookup: Lookup) -> set[str]:
    """Every property name that the schema could accept at its own level."""
    names: set[str] = set()
    seen: set[int] = set()

    def walk(part: Any) -> None:
        if not isinstance(part, dict) or id(part) in seen:
            return
        seen.add(id(part))
        names.update(part.get("properties", {}))
        for keyword in ("allOf", "oneOf", "anyOf"):
            for branch in part.get(keyword, ()):
                walk(branch)
        for keyword in ("then", "else"):
            walk(part.get(keyword))
        if "$ref" in part:
            walk(lookup(part["$ref"]))

    walk(schema)
    return names
