"""The parameters of an imported class: what `source` reads without importing, seen through `param` itself."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import param

from innereye_runtime.compat.param1_spellings import CONVERTING
from innereye_runtime.parameters.parameter import Kind, Parameter, resolved
from innereye_runtime.parameters.types import Alias, IntTuple, PathList, PathParameter, SplitList

_BY_TYPE: tuple[tuple[type, Kind], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "string"),
    (Path, "path"),
    (list, "list"),
    (tuple, "tuple"),
    (dict, "dict"),
)


def parameters_of(config: type | param.Parameterized) -> Mapping[str, Parameter]:
    """All parameters of `config`, a class or an instance, by name; `name`, which every class has, is left out.

    Of an instance the defaults are its present values, so that what its `__init__` changed is there, with origin
    `class`.
    """
    cls = config if isinstance(config, type) else type(config)
    found = {
        name: _describe(name, parameter, cls)
        for name, parameter in cls.param.objects("existing").items()  # type: ignore[attr-defined]
        if name != "name"
    }
    if config is not cls:
        for name, described in found.items():
            value = _named(cls.param[name], _plain(getattr(config, name)))  # type: ignore[attr-defined]
            if value != described.default:
                found[name] = replace(described, default=value, origin="class")
    return resolved(found)


def python_value(parameter: param.Parameter[Any], value: Any) -> Any:
    """What is assigned to `parameter` for a checked `value`: the enum's member for its value, the object for its name,
    a new list for a list, and a float where `param` takes no whole number for one."""
    if objects := _objects(parameter):
        return [objects[item] for item in value] if isinstance(value, list) else objects.get(value, value)
    if float in (getattr(parameter, "class_", None), getattr(parameter, "item_type", None)):
        items = [float(item) for item in (value if isinstance(value, list) else [value]) if item is not None]
        return items if isinstance(value, list) else items[0] if items else None
    enum = _enum(getattr(parameter, "class_", None)) or _enum(getattr(parameter, "item_type", None))
    if enum is not None and not isinstance(value, list):
        return value if value is None or isinstance(value, enum) else enum(value)
    if isinstance(value, list):
        return [item if enum is None or isinstance(item, enum) else enum(item) for item in value]
    return value


def _describe(name: str, parameter: param.Parameter[Any], cls: type) -> Parameter:
    owner = _owner(cls, name)
    kind, item, choices = _type(parameter)
    bounds = getattr(parameter, "bounds", None) or (None, None)
    return Parameter(
        name=name,
        kind=kind,
        default=_named(parameter, _plain(parameter.default)),
        doc=" ".join((parameter.doc or "").split()),
        item=item,
        length=getattr(parameter, "length", None) if kind == "tuple" else None,
        choices=choices,
        named=tuple(_objects(parameter).items()),
        bounds=tuple(bounds) if kind in ("integer", "number", "list", "date") else (None, None),
        inclusive=tuple(getattr(parameter, "inclusive_bounds", (True, True))),
        optional=bool(parameter.allow_None) or parameter.default is None,
        settable=not (name.startswith("_") or parameter.constant or parameter.readonly),
        owner=owner.__name__,
        origin="default" if parameter.owner is owner else "class",
        alias_of=parameter.of if isinstance(parameter, Alias) else "",
        merges_with=(parameter.first, parameter.rest) if isinstance(parameter, SplitList) else None,
        renamed=tuple(parameter.values.items()) if isinstance(parameter, Alias) else (),
    )


def _type(parameter: param.Parameter[Any]) -> tuple[Kind, Kind, tuple[Any, ...]]:
    """The kind, the kind of the items, and the choices."""
    if _converts(type(parameter)):
        return "any", "any", ()
    match parameter:
        case param.Boolean():
            return "boolean", "any", ()
        case param.Integer():
            return "integer", "any", ()
        case param.Date() | param.CalendarDate():
            return "date", "any", ()
        case param.Number():
            return "number", "any", ()
        case param.String():
            return "string", "any", ()
        case PathList():
            return "list", "path", ()
        case PathParameter() | param.Path():
            return "path", "any", ()
        case param.FileSelector() | param.MultiFileSelector():
            return "any", "any", ()
        case param.ListSelector():
            return "list", "any", tuple(_objects(parameter) or parameter.objects)
        case param.Selector() if _objects(parameter):
            return "enum", "any", tuple(_objects(parameter))
        case param.Selector() if parameter.objects:
            return "enum", "any", tuple(_plain(choice) for choice in parameter.objects)
        case param.List():
            enum = _enum(parameter.item_type)
            return "list", "enum" if enum else _kind_of(parameter.item_type), _choices(enum)
        case param.Tuple():
            return "tuple", _tuple_item(parameter), ()
        case param.Dict():
            return "dict", "any", ()
        case param.ClassSelector():
            enum = _enum(parameter.class_)
            return "enum" if enum else _kind_of(parameter.class_), "any", _choices(enum)
        case _:
            return "any", "any", ()


def _converts(cls: type) -> bool:
    """Whether a subclass of the user's decides by itself which values it takes."""
    own = [base for base in cls.__mro__ if not base.__module__.startswith(("param.", "innereye_runtime.", "builtins"))]
    return any(not CONVERTING.isdisjoint(vars(base)) for base in own)


def _tuple_item(parameter: param.Tuple[Any]) -> Kind:
    if isinstance(parameter, IntTuple):
        return "integer"
    if isinstance(parameter, param.DateRange | param.CalendarDateRange):
        return "date"
    return "number" if isinstance(parameter, param.NumericTuple) else "any"


def _owner(cls: type, name: str) -> type:
    """The class that declares the parameter: a class that only changes its default does not."""
    declaring = [base for base in cls.__mro__ if isinstance(vars(base).get(name), param.Parameter)]
    return next((base for base in declaring if name not in vars(base).get("_own_defaults", ())), declaring[-1])


def _kind_of(cls: Any) -> Kind:
    if not inspect.isclass(cls):
        return "any"
    return next((kind for base, kind in _BY_TYPE if issubclass(cls, base)), "any")


def _enum(cls: Any) -> type[Enum] | None:
    return cls if inspect.isclass(cls) and issubclass(cls, Enum) else None


def _choices(enum: type[Enum] | None) -> tuple[Any, ...]:
    return tuple(member.value for member in enum) if enum else ()


def _objects(parameter: param.Parameter[Any]) -> dict[str, Any]:
    """The objects of a Selector by their names, where it was declared with names."""
    return dict(parameter.names or {}) if isinstance(parameter, param.Selector) else {}


def _named(parameter: param.Parameter[Any], value: Any) -> Any:
    """`value`, or its name where the parameter's objects have names."""
    objects = _objects(parameter)
    if isinstance(value, list) and objects:
        return [_named(parameter, item) for item in value]
    return next((name for name, item in objects.items() if item is value or _same(item, value)), value)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and isinstance(one, str | int | float) and one == other


def _plain(value: Any) -> Any:
    """Enum members as their values, as a manifest writes them."""
    if isinstance(value, Enum):
        return value.value
    return [_plain(item) for item in value] if isinstance(value, list) else value
