"""An annotation in source -> the `Type` that it says; what the source does not tell is `any`."""

from __future__ import annotations

import ast
from typing import Any, Final

from innereye_runtime.introspection.static.expressions import Evaluator, Member
from innereye_runtime.introspection.static.resolver import ExternalSymbol, SourceClass, SourceModule, SourceValue
from innereye_runtime.parameters.annotations import ANY, CALLABLE, NONE, Type, TypeName
from innereye_runtime.parameters.parameter import UNKNOWN

_SIMPLE: Final[dict[str, TypeName]] = {
    "builtins.bool": "boolean",
    "builtins.int": "integer",
    "builtins.float": "number",
    "builtins.complex": "any",
    "builtins.object": "any",
    "builtins.str": "string",
    "builtins.list": "list",
    "builtins.set": "list",
    "builtins.frozenset": "list",
    "builtins.tuple": "tuple",
    "builtins.dict": "dict",
    "pathlib.Path": "path",
    "pathlib.PurePath": "path",
    "os.PathLike": "path",
    "typing.Any": "any",
    "numbers.Number": "number",
    "numbers.Real": "number",
}
_LISTS: Final = ("List", "Sequence", "Iterable", "Collection", "Set", "FrozenSet", "MutableSequence", "AbstractSet")
_DICTS: Final = ("Dict", "Mapping", "MutableMapping", "OrderedDict", "DefaultDict")
_DEEPEST: Final = 12


class Annotations:
    """Reads annotations of the modules that `evaluator` knows."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator

    def read(self, module: SourceModule, node: ast.expr | None, depth: int = 0) -> Type:
        """The type that `node` says; `any` where there is none, or the source does not tell."""
        if node is None or depth > _DEEPEST:
            return ANY
        match node:
            case ast.Constant(value=None):
                return NONE
            case ast.Constant(value=str(text)):
                return self._quoted(module, text, depth)
            case ast.BinOp(op=ast.BitOr()):
                return _union((self.read(module, node.left, depth + 1), self.read(module, node.right, depth + 1)))
            case ast.Subscript():
                return self._subscript(module, node, depth)
            case ast.Name() | ast.Attribute():
                return self._named(module, node, depth)
            case _:
                return ANY

    def _quoted(self, module: SourceModule, text: str, depth: int) -> Type:
        try:
            return self.read(module, ast.parse(text, mode="eval").body, depth + 1)
        except SyntaxError:
            return ANY

    def _named(self, module: SourceModule, node: ast.expr, depth: int) -> Type:
        meaning = self.evaluator.modules.resolve(module, node)
        if isinstance(meaning, SourceValue):
            return self.read(meaning.module, meaning.node, depth + 1)
        if isinstance(meaning, SourceClass):
            return self._class(meaning)
        if not isinstance(meaning, ExternalSymbol):
            return ANY
        if meaning.name in _SIMPLE:
            return Type(_SIMPLE[meaning.name])
        return _generic(meaning.name, ()) or _external(meaning.name)

    def _subscript(self, module: SourceModule, node: ast.Subscript, depth: int) -> Type:
        meaning = self.evaluator.modules.resolve(module, node.value)
        name = meaning.name if isinstance(meaning, ExternalSymbol) else ""
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        last = name.rpartition(".")[2]
        if last == "Literal":
            return self._literal(module, parts)
        if last in ("Annotated", "Final", "ClassVar", "Required"):
            return self.read(module, parts[0], depth + 1)
        if name in ("builtins.type", "typing.Type"):
            return Type("unwritable", label="a class")
        if last == "Callable":
            return Type("object", label=CALLABLE)
        variadic = any(isinstance(part, ast.Constant) and part.value is ... for part in parts)
        types = tuple(
            self.read(module, part, depth + 1)
            for part in parts
            if not (isinstance(part, ast.Constant) and part.value is ...)
        )
        if name == "builtins.tuple" or last == "Tuple":
            return Type("tuple", items=types, length=None if variadic else len(types))
        if isinstance(meaning, SourceClass):
            return self._class(meaning)
        return _generic(name, types) or (_external(name) if name else ANY)

    def _literal(self, module: SourceModule, parts: list[ast.expr]) -> Type:
        values: list[Any] = [self.evaluator.value(module, part) for part in parts]
        if any(value is UNKNOWN or isinstance(value, Member) for value in values):
            return ANY
        choice = Type("choice", choices=tuple(value for value in values if value is not None))
        return _union((choice, NONE)) if None in values else choice

    def _class(self, cls: SourceClass) -> Type:
        if any(ast.unparse(base).partition("[")[0].endswith("Protocol") for base in cls.node.bases):
            return ANY  # whatever has its methods
        members = self.evaluator.members(cls)
        if members is None:
            return Type("object", label=cls.name)
        values = tuple(member.value for member in members.values())
        return Type("enum", choices=tuple(members), values=() if UNKNOWN in values else values)


def _generic(name: str, types: tuple[Type, ...]) -> Type | None:
    """One of `typing` or `collections.abc`, or a built-in container of types."""
    package, _, last = name.rpartition(".")
    if name in ("builtins.list", "builtins.set", "builtins.frozenset"):
        return Type("list", items=types[:1])
    if name == "builtins.dict":
        return Type("dict", items=types[1:2])
    if package not in ("typing", "collections.abc", "collections", "typing_extensions"):
        return None
    if last == "Optional":
        return _union((*types, NONE))
    if last == "Union":
        return _union(types)
    if last in _LISTS:
        return Type("list", items=types[:1])
    if last == "Tuple":
        return Type("tuple", items=types)
    if last in _DICTS:
        return Type("dict", items=types[1:2])
    if last == "Callable":
        return Type("object", label=CALLABLE)
    if last == "Type":
        return Type("unwritable", label="a class")
    return ANY


def _external(name: str) -> Type:
    """A class of a package that is not read."""
    return ANY if name.startswith("builtins.") else Type("object", label=name)


def _union(types: tuple[Type, ...]) -> Type:
    flat: list[Type] = []
    for each in types:
        flat += each.items if each.name == "union" else [each]
    if any(each.name == "any" for each in flat):
        return ANY
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else Type("union", items=unique)
