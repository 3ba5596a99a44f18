"""A parameter's declaration, `param.Integer(3, bounds=(0, None))`, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from innereye_runtime.compat.param1_spellings import CONVERTING, normalise_arguments
from innereye_runtime.introspection.static.expressions import Evaluator, plain
from innereye_runtime.introspection.static.resolver import (
    OWN_PACKAGES,
    ExternalSymbol,
    Resolution,
    SourceClass,
    SourceModule,
    SourceValue,
)
from innereye_runtime.parameters.parameter import UNKNOWN, Kind, Parameter

KINDS: Final[dict[str, Kind]] = {
    "Parameter": "any",
    "Boolean": "boolean",
    "Event": "boolean",
    "Integer": "integer",
    "Number": "number",
    "Magnitude": "number",
    "String": "string",
    "Path": "path",
    "Filename": "path",
    "Foldername": "path",
    "Selector": "enum",
    "ObjectSelector": "enum",
    "ListSelector": "list",
    "List": "list",
    "Tuple": "tuple",
    "NumericTuple": "tuple",
    "XYCoordinates": "tuple",
    "Range": "tuple",
    "DateRange": "tuple",
    "CalendarDateRange": "tuple",
    "Dict": "dict",
    "Date": "date",
    "CalendarDate": "date",
    "ClassSelector": "any",
    "Callable": "any",
    **dict.fromkeys(("Action", "Array", "Bytes", "Color", "Composite", "DataFrame", "Dynamic", "Series"), "any"),
    **dict.fromkeys(("FileSelector", "MultiFileSelector"), "any"),
    "HookList": "list",
    "PathParameter": "path",
    "PathList": "list",
    "StringList": "list",
    "IntTuple": "tuple",
    "ListOrDictParam": "any",
    "Alias": "any",
    "SplitList": "list",
}
DEFAULTS: Final[dict[str, Any]] = {
    "Boolean": False,
    "Event": False,
    "Integer": 0,
    "Number": 0.0,
    "Magnitude": 1.0,
    "String": "",
    "List": [],
    "HookList": [],
    "Bytes": b"",
    "PathList": [],
    "StringList": [],
    "Tuple": (0, 0),
    "NumericTuple": (0, 0),
    "IntTuple": (0, 0),
    "XYCoordinates": (0.0, 0.0),
}
"""Where a declaration has no default of its own; for all others it is None."""

_TYPES: Final[dict[str, Kind]] = {
    "builtins.bool": "boolean",
    "builtins.int": "integer",
    "builtins.float": "number",
    "builtins.str": "string",
    "builtins.list": "list",
    "builtins.tuple": "tuple",
    "builtins.dict": "dict",
    "pathlib.Path": "path",
}


class Declarations:
    """Reads calls that make parameters."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def read(
        self, module: SourceModule, name: str, node: ast.expr, owner: str, inherited: Parameter | None
    ) -> Parameter | None:
        """The parameter that `name = <node>` declares in a class body; None where that is no declaration.

        What the call leaves out is taken from `inherited`, the parameter of the same name of a base class.
        """
        if not isinstance(node, ast.Call):
            return None
        meaning = self.evaluator.modules.resolve(module, node.func)
        kind, converts = self._kind(meaning)
        if kind is None:
            return None
        values = {key: self.evaluator.value(module, value) for key, value in self._keywords(kind, node).items()}
        nodes = self._keywords(kind, node)
        if any(keyword.arg is None for keyword in node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
            # Keywords that the source does not show may say anything.
            return Parameter(name=name, kind="any", optional=True, settable=not name.startswith("_"), owner=owner)
        parameter = self._declared(module, kind, name, owner, values, nodes, inherited)
        if not converts:
            return parameter
        return replace(parameter, kind="any", item="any", choices=(), bounds=(None, None), length=None)

    def _kind(self, meaning: Resolution | None) -> tuple[str | None, bool]:
        """The type of `param` (or of ours) that is made, and whether a subclass of the user's converts values
        itself."""
        converts = False
        for _ in range(10):
            if isinstance(meaning, ExternalSymbol):
                package, _, kind = meaning.name.rpartition(".")
                known = package in ("param", "param.parameters", "param.parameterized") and kind in KINDS
                return (kind if known else None), converts
            if not isinstance(meaning, SourceClass) or not meaning.node.bases:
                return None, False
            own = meaning.module.place.name.startswith(OWN_PACKAGES)
            if own and meaning.name in KINDS:
                return meaning.name, converts
            methods = {node.name for node in meaning.node.body if isinstance(node, ast.FunctionDef)}
            converts = converts or not methods.isdisjoint(CONVERTING)
            base = meaning.node.bases[0]
            meaning = self.evaluator.modules.resolve(
                meaning.module, base.value if isinstance(base, ast.Subscript) else base
            )
        return None, False

    def _keywords(self, kind: str, node: ast.Call) -> dict[str, ast.expr]:
        named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
        return normalise_arguments(kind, tuple(node.args), named)

    def _declared(
        self,
        module: SourceModule,
        kind: str,
        name: str,
        owner: str,
        values: dict[str, Any],
        nodes: dict[str, ast.expr],
        inherited: Parameter | None,
    ) -> Parameter:
        item, choices = self._items(module, kind, values, nodes)
        base_kind: Kind = KINDS[kind]
        if kind == "ClassSelector":
            base_kind, choices = self._class(module, nodes.get("class_"))
        named = self._named(module, kind, nodes.get("objects"))
        if named and "default" in values:
            values["default"] = self._name_of(module, nodes["default"], named)
        default = plain(values["default"]) if "default" in values else self._missing(kind, choices, inherited)
        if base_kind == "path" and isinstance(default, str):
            default = _path(default)
        if item == "path" and isinstance(default, list):
            default = [_path(value) for value in default]
        renamed = values.get("values", {})
        allow_none = values.get("allow_None", False)
        constant = values.get("constant", False) is not False or values.get("readonly", False) is not False
        doc = values.get("doc", inherited.doc if inherited is not None else "")
        pair = 2 if kind.endswith("Range") else None
        length = values.get("length", len(default) if isinstance(default, tuple) else pair)
        return Parameter(
            name=name,
            kind=base_kind,
            default=default,
            doc=" ".join(doc.split()) if isinstance(doc, str) else "",
            item=item,
            length=length if base_kind == "tuple" and isinstance(length, int) else None,
            choices=choices,
            named=tuple((name, plain(self.evaluator.value(of, node))) for name, (of, node) in named.items()),
            bounds=self._bounds(kind, base_kind, values, inherited),
            inclusive=_pair(values.get("inclusive_bounds"), (True, True)),
            optional=allow_none is not False or default is None or default is UNKNOWN,
            settable=not (name.startswith("_") or constant),
            owner=owner,
            alias_of=str(values["of"]) if kind == "Alias" else "",
            renamed=tuple(renamed.items()) if kind == "Alias" and isinstance(renamed, dict) else (),
            merges_with=(str(values["first"]), str(values["rest"])) if kind == "SplitList" else None,
        )

    def _missing(self, kind: str, choices: tuple[Any, ...], inherited: Parameter | None) -> Any:
        if inherited is not None:
            return inherited.default
        if kind in ("Selector", "ObjectSelector"):
            return choices[0] if choices else UNKNOWN if kind == "Selector" else None
        return DEFAULTS.get(kind)

    def _items(
        self, module: SourceModule, kind: str, values: dict[str, Any], nodes: dict[str, ast.expr]
    ) -> tuple[Kind, tuple[Any, ...]]:
        """The kind of the items, and the choices."""
        match kind:
            case "PathList":
                return "path", ()
            case "StringList":
                return "string", ()
            case "IntTuple":
                return "integer", ()
            case "NumericTuple" | "XYCoordinates" | "Range":
                return "number", ()
            case "DateRange" | "CalendarDateRange":
                return "date", ()
            case "List" | "HookList":
                return self._class(module, nodes.get("item_type"))
            case "Selector" | "ObjectSelector" | "ListSelector":
                if named := self._named(module, kind, nodes.get("objects")):
                    return "any", tuple(named)
                objects = plain(values.get("objects", []))
                return "any", tuple(objects) if isinstance(objects, list | tuple) else ()
            case _:
                return "any", ()

    def _named(
        self, module: SourceModule, kind: str, node: ast.expr | None
    ) -> dict[str, tuple[SourceModule, ast.expr]]:
        """Of a Selector whose objects have names: each name, and the expression of its object."""
        meaning = self.evaluator.modules.resolve(module, node) if node is not None else None
        if isinstance(meaning, SourceValue):
            module, node = meaning.module, meaning.node
        if kind not in ("Selector", "ObjectSelector", "ListSelector"):
            return {}
        if isinstance(node, ast.Call) and not node.args:  # dict(relu=nn.ReLU)
            called = self.evaluator.modules.resolve(module, node.func)
            keywords = node.keywords if called == ExternalSymbol("builtins.dict") else []
            return {each.arg: (module, each.value) for each in keywords if each.arg is not None}
        if not isinstance(node, ast.Dict):
            return {}
        names = [self.evaluator.value(module, key) for key in node.keys]
        if UNKNOWN in names:
            return {}
        return {name: (module, value) for name, value in zip(names, node.values, strict=True)}

    def _name_of(self, module: SourceModule, node: ast.expr, named: Mapping[str, tuple[SourceModule, ast.expr]]) -> Any:
        """The name of the object that `node` is; UNKNOWN where that can't be told."""
        if isinstance(node, ast.List | ast.Tuple):
            return [self._name_of(module, item, named) for item in node.elts]
        value = self.evaluator.value(module, node)
        for name, (of, item) in named.items():
            if ast.dump(item) == ast.dump(node) or (value is not UNKNOWN and self.evaluator.value(of, item) == value):
                return name
        return None if value is None else UNKNOWN

    def _class(self, module: SourceModule, node: ast.expr | None) -> tuple[Kind, tuple[Any, ...]]:
        """The kind that a class stands for, and its members' values where it is an enum."""
        if node is None:
            return "any", ()
        meaning = self.evaluator.modules.resolve(module, node)
        if isinstance(meaning, ExternalSymbol):
            return _TYPES.get(meaning.name, "any"), ()
        members = self.evaluator.members(meaning) if isinstance(meaning, SourceClass) else None
        if members is None:
            return "any", ()
        values = tuple(member.value for member in members.values())
        return "enum", () if UNKNOWN in values else values

    def _bounds(
        self, kind: str, base_kind: Kind, values: dict[str, Any], inherited: Parameter | None
    ) -> tuple[float | None, float | None]:
        if base_kind not in ("integer", "number", "list", "date") or kind in ("ListSelector", "SplitList"):
            return (None, None)
        if "bounds" in values:
            return _pair(values["bounds"], (None, None))
        if inherited is not None and inherited.kind == base_kind:
            return inherited.bounds
        return (0.0, 1.0) if kind == "Magnitude" else (0, None) if base_kind == "list" else (None, None)


def _pair(value: Any, otherwise: tuple[Any, Any]) -> tuple[Any, Any]:
    known = isinstance(value, tuple | list) and len(value) == 2 and UNKNOWN not in value
    return (value[0], value[1]) if known else otherwise


def _path(text: Any) -> Any:
    from pathlib import Path

    return Path(text) if isinstance(text, str) and text.strip() else None if text == "" else text
