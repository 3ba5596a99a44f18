"""The parameters of a class and all its bases, read from source: the user's code, torch and param are not imported.

What the source does not tell is `UNKNOWN`, or said in `unresolved`; it is never guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from innereye_runtime.introspection.discovery import Location
from innereye_runtime.introspection.static.declarations import Declarations
from innereye_runtime.introspection.static.evaluated import model_without_evaluation
from innereye_runtime.introspection.static.expressions import Evaluator, plain
from innereye_runtime.introspection.static.init_interpreter import InitInterpreter
from innereye_runtime.introspection.static.resolver import (
    NOT_ANALYSED_PACKAGES,
    OWN_PACKAGES,
    ExternalSymbol,
    Resolution,
    SourceClass,
    SourceModules,
    statements,
)
from innereye_runtime.parameters.parameter import UNKNOWN, Parameter, resolved
from innereye_runtime.parameters.values import ValueProblemError, accept


@dataclass(frozen=True, slots=True)
class Attribute:
    """A plain value of a class, set in its body or by its `__init__`."""

    value: str
    """As it is written."""
    place: str
    """File and line."""
    is_read: bool
    """Somewhere in the user's classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSource:
    name: str
    parameters: Mapping[str, Parameter]
    """Those that the user's classes declare come first."""
    unresolved: tuple[str, ...] = ()
    """What could not be read, a sentence each. Empty: these are all parameters."""
    methods: frozenset[str] = frozenset()
    """Those that the user's own classes define."""
    untested_model: str = ""
    """The class of the container's model, where it is seen to have nothing that evaluation could call."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """Of the user's own classes, those that are no parameters."""
    refusal: tuple[str, str] | None = None
    """Why the class can't be trained, and what to do about it; None where nothing is known against it."""


def read(location: Location, search_path: Sequence[Path]) -> ClassSource:
    """The parameters of the class at `location`. Never raises for what user code says: that is told in `unresolved`."""
    return Reader(search_path).read(location)


class Reader:
    """Reads one class; `unresolved` collects what it can't."""

    def __init__(self, search_path: Sequence[Path]) -> None:
        self.modules = SourceModules(search_path)
        self.evaluator = Evaluator(self.modules)
        self.declarations = Declarations(self.evaluator)
        self.unresolved: list[str] = []

    def read(self, location: Location) -> ClassSource:
        module = self.modules.module(location.module, location.file)
        cls = self.modules.named(module, location.class_name) if module is not None else None
        if module is not None and module.broken:
            hint = "python -m py_compile shows the line"
            return ClassSource(name=location.class_name, parameters={}, refusal=(module.problem, hint))
        if module is not None and module.problem:
            self.unresolved.append(module.problem)
        elif not isinstance(cls, SourceClass):
            self.unresolved.append(
                f"{location.file} makes the class {location.class_name} in a way that its source does not show"
            )
        parameters: dict[str, Parameter] = {}
        methods: frozenset[str] = frozenset()
        attributes: dict[str, Attribute] = {}
        refusal = None
        untested = None
        if isinstance(cls, SourceClass):
            mro = self.mro(cls, ())
            if not self.unresolved and not any(isinstance(base, SourceClass) and _is_container(base) for base in mro):
                message = f"{cls.name} is not a LightningContainer: {location.file}:{cls.node.lineno}"
                refusal = (message, f"name the container, or write class {cls.name}(LightningContainer)")
                if any(base.name.rpartition(".")[2] == "LightningModule" for base in mro):
                    spelled = f"{location.module}:{cls.name}"
                    refusal = (
                        message,
                        f"write 'model: {{class: {spelled}}}' in place of 'container', and 'data' beside it",
                    )
            for base in reversed(mro):
                if isinstance(base, SourceClass):
                    self._body(base, parameters)
            methods = _own_methods(mro)
            untested = model_without_evaluation(mro, self.modules, self._known_bases)
            attributes = plain_attributes(users(mro))
            parameters = _mro_order(self._after_init(mro, parameters), mro)
        return ClassSource(
            name=location.class_name,
            parameters=resolved(parameters),
            unresolved=tuple(self.unresolved),
            methods=methods,
            untested_model=untested.name if untested is not None else "",
            attributes={name: each for name, each in attributes.items() if name not in parameters},
            refusal=refusal,
        )

    def _known_bases(self, cls: SourceClass) -> Sequence[SourceClass | ExternalSymbol] | None:
        """All classes of `cls`, itself first; None where some can't be read, which is not said of the container."""
        before, self.unresolved = self.unresolved, []
        found = self.mro(cls, ())
        complete, self.unresolved = not self.unresolved, before
        return found if complete else None

    def mro(self, cls: SourceClass, below: tuple[SourceClass, ...]) -> list[SourceClass | ExternalSymbol]:
        """The method resolution order, as far as bases can be found: Python's own merge."""
        bases: list[SourceClass | ExternalSymbol] = []
        for node in cls.node.bases:
            meaning = self.modules.resolve(cls.module, node.value if isinstance(node, ast.Subscript) else node)
            if isinstance(meaning, SourceClass) and meaning not in below:
                bases.append(meaning)
            elif isinstance(meaning, ExternalSymbol):
                bases.append(meaning)
                if meaning.name.partition(".")[0] not in NOT_ANALYSED_PACKAGES:
                    self._note_unresolved(cls, f"its base {ast.unparse(node)} can't be read")
            else:
                self._note_unresolved(cls, f"its base {ast.unparse(node)} can't be read")
        if cls.node.decorator_list:
            self._note_unresolved(cls, "its decorator may change it")
        lines = [self.mro(base, (*below, cls)) if isinstance(base, SourceClass) else [base] for base in bases]
        return [cls, *_merge(lines, bases)]

    def _body(self, cls: SourceClass, parameters: dict[str, Parameter]) -> None:
        for statement in statements(cls.node.body):
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)]):
                    self._attribute(cls, name, statement.value, parameters)
                case ast.AnnAssign(target=ast.Name(id=name)) if statement.value is not None:
                    self._attribute(cls, name, statement.value, parameters)
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    parameters.pop(name, None)
                case ast.For() | ast.While():
                    self._note_unresolved(cls, f"line {statement.lineno} may declare parameters in a loop")
                case _:
                    pass

    def _attribute(self, cls: SourceClass, name: str, node: ast.expr, parameters: dict[str, Parameter]) -> None:
        inherited = parameters.get(name)
        declared = self.declarations.read(cls.module, name, node, cls.name, inherited)
        if declared is not None:
            parameters[name] = declared
        elif inherited is not None:
            parameters[name] = self._changed(inherited, plain(self.evaluator.value(cls.module, node)))
        elif isinstance(node, ast.Call) and self._may_make_parameters(self.modules.resolve(cls.module, node.func)):
            self._note_unresolved(cls, f"what {name} = {ast.unparse(node.func)}(...) is can't be read")

    def _may_make_parameters(self, called: Resolution | None) -> bool:
        """Whether a call in a class body may give a parameter, for all that the source tells."""
        if isinstance(called, ExternalSymbol):
            return called.name.partition(".")[0] not in NOT_ANALYSED_PACKAGES
        return not isinstance(called, SourceClass)

    def _after_init(
        self, mro: Sequence[SourceClass | ExternalSymbol], parameters: dict[str, Parameter]
    ) -> dict[str, Parameter]:
        found = dict(parameters)
        for name, value in InitInterpreter(self.evaluator, mro).run().items():
            for target, target_value in _targets(parameters.get(name), value):
                if target in found and not (target_value == found[target].default and target_value is not UNKNOWN):
                    found[target] = self._changed(found[target], target_value)
        return found

    def _changed(self, parameter: Parameter, value: Any) -> Parameter:
        """The parameter with a value that a class gives it; as text for a path and the like, it is taken as the class
        takes it."""
        if value is not UNKNOWN:
            try:
                value = accept(replace(parameter, optional=True), value)
            except ValueProblemError:
                value = UNKNOWN
        return replace(parameter, default=value, origin="class")

    def _note_unresolved(self, cls: SourceClass, what: str) -> None:
        sentence = f"{cls.name} ({cls.module.place.file}:{cls.node.lineno}): {what}"
        if sentence not in self.unresolved:
            self.unresolved.append(sentence)


def _own_methods(mro: Sequence[SourceClass | ExternalSymbol]) -> frozenset[str]:
    return frozenset(node.name for cls in users(mro) for node in cls.node.body if isinstance(node, ast.FunctionDef))


def users(mro: Sequence[SourceClass | ExternalSymbol]) -> list[SourceClass]:
    return [cls for cls in mro if isinstance(cls, SourceClass) and not cls.module.place.name.startswith(OWN_PACKAGES)]


def plain_attributes(classes: Sequence[SourceClass]) -> dict[str, Attribute]:
    """What the bodies and the `__init__` of the classes set, without regard to what is declared."""
    found: dict[str, Attribute] = {}
    nodes = [node for cls in classes for node in ast.walk(cls.node)]
    read = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}
    for cls in classes:
        inits = [node for node in cls.node.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
        of_inits = [each for init in inits for each in ast.walk(init) if isinstance(each, ast.stmt)]
        for statement in [*cls.node.body, *of_inits]:
            for name, value in _assigned(statement, in_body=statement in cls.node.body):
                place = f"{cls.module.place.file}:{statement.lineno}"
                found.setdefault(name, Attribute(ast.unparse(value), place, name in read))
    return found


def _assigned(statement: ast.stmt, *, in_body: bool) -> Iterator[tuple[str, ast.expr]]:
    """Names and values of a statement that sets attributes: plain names in a class body, those of self elsewhere."""
    targets: list[ast.expr] = []
    match statement:
        case ast.Assign():
            targets, value = statement.targets, statement.value
        case ast.AnnAssign(value=ast.expr() as value):
            targets = [statement.target]
    for target in targets:
        match target:
            case ast.Name(id=name) if in_body:
                yield name, value
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if not in_body:
                yield name, value


def _mro_order(
    parameters: Mapping[str, Parameter], mro: Sequence[SourceClass | ExternalSymbol]
) -> dict[str, Parameter]:
    """`parameters`, with those that the user's classes declare before those of every container; else as declared."""
    ranks = {cls.name: rank for rank, cls in enumerate(users(mro))}
    return dict(sorted(parameters.items(), key=lambda item: ranks.get(item[1].owner, len(ranks))))


def _is_container(cls: SourceClass) -> bool:
    return cls.name == "LightningContainer" and cls.module.place.name == "innereye_runtime.api.container"


def _targets(parameter: Parameter | None, value: Any) -> list[tuple[str, Any]]:
    if parameter is None:
        return []
    if parameter.alias_of:
        return [(parameter.alias_of, UNKNOWN if value is UNKNOWN else dict(parameter.renamed).get(value, value))]
    if parameter.merges_with is not None:
        first, rest = parameter.merges_with
        if not isinstance(value, list | tuple):
            return [(first, UNKNOWN), (rest, UNKNOWN)]
        return ([(first, value[0])] if value else []) + [(rest, list(value[1:]))]
    return [(parameter.name, value)]


def _merge(
    of_bases: Sequence[Sequence[SourceClass | ExternalSymbol]], bases: Sequence[SourceClass | ExternalSymbol]
) -> list[SourceClass | ExternalSymbol]:
    """Python's C3 merge; where the orders contradict each other, the first one wins."""
    merged: list[SourceClass | ExternalSymbol] = []
    lines = [list(line) for line in (*of_bases, bases) if line]
    while lines:
        head = next(
            (line[0] for line in lines if not any(line[0] in other[1:] for other in lines)),
            lines[0][0],
        )
        merged.append(head)
        lines = [rest for line in lines if (rest := [cls for cls in line if cls != head])]
    return merged
