"""What is known of one parameter of a container class, whoever looked: the source reader or the imported class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from innereye_runtime.parameters.annotations import Type

Kind = Literal["boolean", "integer", "number", "string", "path", "enum", "list", "tuple", "dict", "date", "any"]


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN
"""Stands where the source alone does not tell a value (it is computed when the class is made)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its type, its limits and where it was declared. Values are those of Python, not of YAML."""

    name: str
    kind: Kind
    default: Any = UNKNOWN
    doc: str = ""
    item: Kind = "any"
    """Of a list or a tuple: the kind of its items."""
    length: int | None = None
    """Of a tuple."""
    choices: tuple[Any, ...] = ()
    """Of an enum: its values, as a manifest writes them."""
    named: tuple[tuple[str, Any], ...] = field(default=(), compare=False)
    """Where the choices are names of objects, as in `Selector(objects={"relu": nn.ReLU})`: each with its object."""
    bounds: tuple[float | None, float | None] = (None, None)
    inclusive: tuple[bool, bool] = (True, True)
    optional: bool = False
    """None is a value."""
    settable: bool = True
    """False: private, constant or read-only, so neither a manifest nor the command line may set it."""
    owner: str = ""
    """The class that declares it."""
    origin: Literal["default", "class"] = "default"
    """`class`: the value is one that a class gives to a parameter declared elsewhere, in its body or in its
    `__init__`."""
    alias_of: str = ""
    """Of a second name: the parameter that it reads and sets."""
    renamed: tuple[tuple[Any, Any], ...] = ()
    """Of a second name: pairs of its own values and what they are for `alias_of`, where the two differ."""
    merges_with: tuple[str, str] | None = None
    """Of a list over two parameters: the one that holds the first item, and the one that holds the rest."""
    type: Type | None = None
    """Of an argument of a class that a manifest names as `model` or `data`: what its annotation says."""
    required: bool = False
    """Of such an argument: it has no default."""


def resolved(parameters: Mapping[str, Parameter]) -> dict[str, Parameter]:
    """`parameters`, with each second name described by what it stands for."""
    return {name: _resolved(parameter, parameters) for name, parameter in parameters.items()}


def _resolved(parameter: Parameter, parameters: Mapping[str, Parameter]) -> Parameter:
    if parameter.alias_of in parameters:
        target = parameters[parameter.alias_of]
        own = {other: value for value, other in parameter.renamed}
        return replace(
            target,
            name=parameter.name,
            doc=parameter.doc,
            default=own.get(target.default, target.default) if own else target.default,
            optional=target.optional or any(value is None for value, _ in parameter.renamed),
            owner=parameter.owner,
            alias_of=parameter.alias_of,
            renamed=parameter.renamed,
        )
    if parameter.merges_with is not None and all(name in parameters for name in parameter.merges_with):
        first, rest = (parameters[name] for name in parameter.merges_with)
        known = first.default is not UNKNOWN and rest.default is not UNKNOWN
        default = ([first.default] if first.default else []) + list(rest.default or []) if known else UNKNOWN
        origin: Literal["default", "class"] = "class" if "class" in (first.origin, rest.origin) else "default"
        return replace(parameter, kind="list", item=rest.item, default=default, origin=origin)
    return parameter


def effective(parameters: Mapping[str, Parameter], given: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
    """Value and origin of each parameter: as given, else its default; second names follow what they stand for."""
    values = {name: given.get(name, (parameter.default, parameter.origin)) for name, parameter in parameters.items()}
    for name, parameter in parameters.items():
        if parameter.alias_of in values:
            value, origin = values[parameter.alias_of]
            values[name] = (next((own for own, other in parameter.renamed if other == value), value), origin)
        elif parameter.merges_with is not None and all(part in values for part in parameter.merges_with):
            parts = [values[part] for part in parameter.merges_with]
            changed = [origin for part, (_, origin) in zip(parameter.merges_with, parts, strict=True) if part in given]
            if changed:
                (first, _), (rest, _) = parts
                values[name] = (([first] if first else []) + list(rest or []), changed[0])
    return values
