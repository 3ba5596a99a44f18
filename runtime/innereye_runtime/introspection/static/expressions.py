"""The value of an expression, where its source alone tells it; `UNKNOWN` where it does not. Nothing is executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from innereye_runtime.introspection.static.resolver import (
    ExternalSymbol,
    SourceClass,
    SourceModule,
    SourceModules,
    SourceValue,
    statements,
)
from innereye_runtime.parameters.parameter import UNKNOWN

_OPERATORS: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: lambda left, right: _product(left, right),
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: lambda base, exponent: base**exponent if abs(base) < 1e6 and abs(exponent) < 100 else UNKNOWN,
}
_COMPARISONS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "builtins.int": int,
    "builtins.float": float,
    "builtins.str": str,
    "builtins.bool": bool,
    "builtins.list": list,
    "builtins.tuple": tuple,
    "builtins.dict": dict,
    "builtins.len": len,
    "builtins.min": min,
    "builtins.max": max,
    "builtins.sorted": sorted,
    "pathlib.Path": Path,
}
_CODE_ROOT: Final = "innereye_runtime.compat.fixed_paths.repository_root_directory"
_DEEPEST: Final = 30
_LONGEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an enum class in the source."""

    enum: str
    name: str
    value: Any


def plain(value: Any) -> Any:
    """Enum members as their values; lists and tuples with one that isn't known are not known."""
    if isinstance(value, Member):
        return value.value
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        return UNKNOWN if any(item is UNKNOWN for item in items) else type(value)(items)
    if isinstance(value, dict):
        items = [plain(item) for item in value.values()]
        return UNKNOWN if any(item is UNKNOWN for item in items) else dict(zip(value, items, strict=True))
    return value


class Evaluator:
    """Evaluates expressions of one module; `names` are local ones with known values."""

    def __init__(self, modules: SourceModules) -> None:
        self.modules = modules
        self._depth = 0

    def value(self, module: SourceModule, node: ast.expr | None, names: Mapping[str, Any] | None = None) -> Any:
        """The expression's value, or `UNKNOWN`."""
        if node is None or self._depth > _DEEPEST:
            return UNKNOWN
        self._depth += 1
        try:
            return self._value(module, node, names or {})
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError):
            return UNKNOWN
        finally:
            self._depth -= 1

    def _value(self, module: SourceModule, node: ast.expr, names: Mapping[str, Any]) -> Any:
        def of(inner: ast.expr) -> Any:
            return self.value(module, inner, names)

        match node:
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple():
                items = [of(item) for item in node.elts]
                return items if isinstance(node, ast.List) else tuple(items)
            case ast.Dict():
                keys = [UNKNOWN if key is None else of(key) for key in node.keys]
                return UNKNOWN if UNKNOWN in keys else dict(zip(keys, map(of, node.values), strict=True))
            case ast.UnaryOp():
                return _unary(node.op, of(node.operand))
            case ast.BinOp():
                return _known(_OPERATORS.get(type(node.op)), of(node.left), of(node.right))
            case ast.Compare(ops=[op], comparators=[other]):
                return _known(_COMPARISONS.get(type(op)), of(node.left), of(other))
            case ast.IfExp():
                test = of(node.test)
                return UNKNOWN if test is UNKNOWN else of(node.body if test else node.orelse)
            case ast.Subscript():
                return _known(operator.getitem, of(node.value), of(node.slice))
            case ast.JoinedStr():
                return self._text(module, node, names)
            case ast.Call():
                return self._call(module, node, names)
            case ast.Name() if node.id in names:
                return names[node.id]
            case ast.Name(id="__file__"):
                return str(module.place.file)
            case ast.Name() | ast.Attribute():
                return self._name(module, node, names)
            case _:
                return UNKNOWN

    def _name(self, module: SourceModule, node: ast.Name | ast.Attribute, names: Mapping[str, Any]) -> Any:
        meaning = self.modules.resolve(module, node)
        if isinstance(meaning, SourceValue):
            return self.value(meaning.module, meaning.node)
        if isinstance(node, ast.Name):
            return UNKNOWN
        owner = self.modules.resolve(module, node.value)
        if isinstance(owner, SourceClass):
            members = self.members(owner)
            return members.get(node.attr, UNKNOWN) if members is not None else UNKNOWN
        value = self.value(module, node.value, names)
        if isinstance(value, Member) and node.attr in ("name", "value"):
            return getattr(value, node.attr)
        if isinstance(value, Path) and node.attr in ("parent", "parents", "name", "stem", "suffix"):
            return getattr(value, node.attr)
        return UNKNOWN

    def _call(self, module: SourceModule, node: ast.Call, names: Mapping[str, Any]) -> Any:
        if any(isinstance(argument, ast.Starred) for argument in node.args):
            return UNKNOWN
        meaning = self.modules.resolve(module, node.func)
        if isinstance(meaning, ExternalSymbol) and meaning.name == "builtins.list" and len(node.args) == 1:
            enum = self.modules.resolve(module, node.args[0])
            if isinstance(enum, SourceClass):
                members = self.members(enum)
                return list(members.values()) if members is not None else UNKNOWN
        arguments = [self.value(module, argument, names) for argument in node.args]
        if any(plain(argument) is UNKNOWN for argument in arguments):
            return UNKNOWN
        if isinstance(meaning, ExternalSymbol) and meaning.name == _CODE_ROOT and self.modules.code_root is not None:
            return Path(self.modules.code_root, *arguments)
        if isinstance(meaning, ExternalSymbol) and meaning.name in _CALLS and not node.keywords:
            return _CALLS[meaning.name](*arguments)
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute") and not arguments:
            value = self.value(module, node.func.value, names)
            return value.resolve() if isinstance(value, Path) and value.is_absolute() else UNKNOWN
        return UNKNOWN

    def _text(self, module: SourceModule, node: ast.JoinedStr, names: Mapping[str, Any]) -> Any:
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                value = self.value(module, part.value, names)
                if part.format_spec is not None or part.conversion != -1 or not isinstance(value, str | int | Path):
                    return UNKNOWN
                parts.append(str(value))
            else:
                parts.append(str(self.value(module, part, names)))
        return "".join(parts)

    def members(self, cls: SourceClass) -> dict[str, Member] | None:
        """The members of an enum class, by name; None for a class that is no enum, or one that can't be told."""
        kinds = [self.modules.resolve(cls.module, base) for base in cls.node.bases]
        names = [kind.name for kind in kinds if isinstance(kind, ExternalSymbol)]
        if not any(name.startswith("enum.") for name in names):
            parents = [kind for kind in kinds if isinstance(kind, SourceClass)]
            if not any(self.members(parent) is not None for parent in parents):
                return None
        found: dict[str, Member] = {}
        for statement in statements(cls.node.body):
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                name = statement.targets[0].id
                if not name.startswith("_"):
                    found[name] = Member(cls.name, name, self._member_value(cls, statement.value, found, name, names))
        return found

    def _member_value(
        self, cls: SourceClass, node: ast.expr, before: Mapping[str, Member], name: str, bases: list[str]
    ) -> Any:
        if isinstance(node, ast.Call):
            called = self.modules.resolve(cls.module, node.func)
            if isinstance(called, ExternalSymbol) and called.name == "enum.auto":
                if "enum.StrEnum" in bases:
                    return name.lower()
                numbers = [member.value for member in before.values() if isinstance(member.value, int)]
                return max(numbers, default=0) + 1
        return self.value(cls.module, node, {key: member.value for key, member in before.items()})


def _unary(op: ast.unaryop, value: Any) -> Any:
    if value is UNKNOWN:
        return UNKNOWN
    match op:
        case ast.USub():
            return -value
        case ast.UAdd():
            return +value
        case ast.Not():
            return not value
        case _:
            return ~value


def _product(left: Any, right: Any) -> Any:
    """The product; of text and lists no more than anyone means."""
    size = max((len(side) for side in (left, right) if hasattr(side, "__len__")), default=0)
    count = max((side for side in (left, right) if isinstance(side, int)), default=0)
    return UNKNOWN if size * count > _LONGEST else left * right


def _known(function: Callable[[Any, Any], Any] | None, left: Any, right: Any) -> Any:
    return UNKNOWN if function is None or left is UNKNOWN or right is UNKNOWN else function(left, right)
