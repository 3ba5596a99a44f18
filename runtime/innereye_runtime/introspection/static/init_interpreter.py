"""What a class's own `__init__` sets, read from its source: keywords given to `super().__init__`, and `self.x =
value`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any, Final

from innereye_runtime.introspection.static.expressions import Evaluator, plain
from innereye_runtime.introspection.static.resolver import OWN_PACKAGES, ExternalSymbol, SourceClass
from innereye_runtime.parameters.parameter import UNKNOWN

_DEEPEST: Final = 12


class InitInterpreter:
    """Follows `__init__` of a class through those of its bases, statement by statement; where it can't, values are
    `UNKNOWN`."""

    def __init__(self, evaluator: Evaluator, mro: Sequence[SourceClass | ExternalSymbol]) -> None:
        self.evaluator = evaluator
        self.mro = [cls for cls in mro if isinstance(cls, SourceClass)]
        self.values: dict[str, Any] = {}
        """What was set, by attribute."""
        self._depth = 0

    def run(self) -> dict[str, Any]:
        """Values of the attributes that are set when an instance is made without arguments."""
        self._init(0, [], {})
        return {name: plain(value) for name, value in self.values.items()}

    def _init(self, start: int, positional: list[Any], keywords: dict[str, Any]) -> None:
        """Runs the first `__init__` at or after place `start` of the MRO."""
        for index in range(start, len(self.mro)):
            cls = self.mro[index]
            if cls.module.place.name.startswith(OWN_PACKAGES):
                break
            function = _method(cls, "__init__")
            if function is not None:
                self._function(index, function, positional, keywords)
                return
        self.values.update(keywords)

    def _function(self, index: int, function: ast.FunctionDef, positional: list[Any], keywords: dict[str, Any]) -> None:
        if self._depth > _DEEPEST:
            return
        self._depth += 1
        module = self.mro[index].module
        arguments = function.args
        named = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)][1:]
        names = dict(zip(named, positional, strict=False))
        defaults = list(zip(reversed(named), reversed(arguments.defaults), strict=False))
        defaults += [
            (a.arg, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None
        ]
        for name, default in defaults:
            names.setdefault(name, self.evaluator.value(module, default))
        own = {*named, *(argument.arg for argument in arguments.kwonlyargs)}
        names |= {name: value for name, value in keywords.items() if name in own}
        if arguments.kwarg is not None:
            names[f"**{arguments.kwarg.arg}"] = {name: value for name, value in keywords.items() if name not in own}
        self._statements(index, function.body, names)
        self._depth -= 1

    def _statements(self, index: int, body: Sequence[ast.stmt], names: dict[str, Any]) -> bool:
        """Runs a body; False where it returned before its end."""
        for statement in body:
            match statement:
                case ast.Return():
                    return False
                case ast.Expr(value=ast.Call() as call):
                    self._call(index, call, names)
                case ast.Assign(targets=targets):
                    value = self.evaluator.value(self.mro[index].module, statement.value, names)
                    for target in targets:
                        self._assign(target, value, names)
                case ast.AnnAssign() if statement.value is not None:
                    value = self.evaluator.value(self.mro[index].module, statement.value, names)
                    self._assign(statement.target, value, names)
                case ast.AugAssign():
                    self._assign(statement.target, UNKNOWN, names)
                case ast.If():
                    if not self._branch(index, statement, names):
                        return False
                case ast.With():
                    if not self._statements(index, statement.body, names):
                        return False
                case ast.For() | ast.While() | ast.Try() | ast.Match():
                    self._forget(statement, names)
                case _:
                    pass
        return True

    def _branch(self, index: int, statement: ast.If, names: dict[str, Any]) -> bool:
        test = self.evaluator.value(self.mro[index].module, statement.test, names)
        if test is UNKNOWN:
            self._forget(statement, names)
            return True
        return self._statements(index, statement.body if test else statement.orelse, names)

    def _call(self, index: int, call: ast.Call, names: dict[str, Any]) -> None:
        module = self.mro[index].module
        keywords: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is not None:
                keywords[keyword.arg] = self.evaluator.value(module, keyword.value, names)
            elif isinstance(keyword.value, ast.Name):
                keywords |= names.get(f"**{keyword.value.id}", {})
        positional = [self.evaluator.value(module, argument, names) for argument in call.args]
        match call.func:
            case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="__init__"):
                self._init(index + 1, positional, keywords)
            case ast.Attribute(value=ast.Name() as base, attr="__init__"):
                self._init(self._index(index, base.id), positional[1:], keywords)
            case ast.Attribute(value=ast.Name(id="self"), attr="set_param"):
                self.values |= keywords
            case ast.Attribute(value=ast.Attribute(value=ast.Name(id="self"), attr="param"), attr="update"):
                self.values |= keywords
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                self._own_method(name, positional, keywords)
            case ast.Name(id="setattr") if len(positional) == 3 and isinstance(positional[1], str):
                self.values[positional[1]] = positional[2]

    def _own_method(self, name: str, positional: list[Any], keywords: dict[str, Any]) -> None:
        for index, cls in enumerate(self.mro):
            function = _method(cls, name)
            if function is not None:
                if not cls.module.place.name.startswith("innereye_runtime."):
                    self._function(index, function, positional, keywords)
                return

    def _index(self, index: int, base: str) -> int:
        return next((i for i, cls in enumerate(self.mro) if cls.name == base), index + 1)

    def _assign(self, target: ast.expr, value: Any, names: dict[str, Any]) -> None:
        match target:
            case ast.Name():
                names[target.id] = value
            case ast.Attribute(value=ast.Name(id="self")):
                self.values[target.attr] = value
            case ast.Tuple() | ast.List():
                known = isinstance(value, tuple | list) and len(value) == len(target.elts)
                for number, part in enumerate(target.elts):
                    self._assign(part, value[number] if known else UNKNOWN, names)

    def _forget(self, statement: ast.stmt, names: dict[str, Any]) -> None:
        """Everything that is set inside a statement whose course isn't known."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                self._assign(node, UNKNOWN, names)
            elif isinstance(node, ast.keyword) and node.arg is not None:
                self.values[node.arg] = UNKNOWN


def _method(cls: SourceClass, name: str) -> ast.FunctionDef | None:
    found = [node for node in cls.node.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None
