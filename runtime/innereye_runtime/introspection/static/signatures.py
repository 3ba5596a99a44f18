"""The arguments that a class's `__init__` takes, read from its source: the class and what it imports are not imported.

What the source does not tell is said in `open`, and never guessed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from innereye_runtime.introspection.discovery import Location
from innereye_runtime.introspection.static.annotations import Annotations
from innereye_runtime.introspection.static.class_reader import Attribute, Reader, plain_attributes, users
from innereye_runtime.introspection.static.expressions import Member, plain
from innereye_runtime.introspection.static.resolver import ExternalSymbol, SourceClass, SourceModule
from innereye_runtime.parameters.annotations import ANY, Type
from innereye_runtime.parameters.parameter import UNKNOWN, Kind, Parameter

KINDS: Final = ("LightningModule", "LightningDataModule", "LightningContainer")
_OF_LIGHTNING: Final = ("lightning", "pytorch_lightning", "innereye_runtime", "InnerEye", "health_ml")
_WITHOUT_ARGUMENTS: Final = (*KINDS, "object", "ABC", "Generic", "Protocol", "Module", "HyperparametersMixin")
"""Bases outside the source that is read whose `__init__` takes nothing that a manifest could say."""
_KINDS_OF_TYPES: Final[dict[str, Kind]] = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "string": "string",
    "path": "path",
    "choice": "enum",
    "enum": "enum",
    "list": "list",
    "tuple": "tuple",
    "dict": "dict",
}
_DEEPEST: Final = 12


class Expression(str):
    """A default that the source writes and does not tell the value of: `F.relu`, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    location: Location
    parameters: Mapping[str, Parameter]
    """By the argument's own name, in order."""
    open: str = ""
    """Why there may be more arguments than these; '': these are all."""
    problem: str = ""
    """Why the class can't be used, where that is certain."""
    hint: str = ""
    bases: frozenset[str] = frozenset()
    """The names of the class and its bases."""
    all_bases: bool = False
    """Whether `bases` are all that there are."""
    methods: frozenset[str] = frozenset()
    """Those that the classes define whose source is read."""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """What these classes set as plain values."""
    reads: frozenset[str] = frozenset()
    """The attributes of itself that such a class reads."""
    doc: str = ""

    @property
    def kind(self) -> Literal["LightningModule", "LightningDataModule", "LightningContainer", "other", "unknown"]:
        """What the class is to Lightning."""
        for name in KINDS:
            if name in self.bases:
                return name
        return "other" if self.all_bases else "unknown"


def read_signature(location: Location, search_path: Sequence[Any]) -> Signature:
    """What the class at `location` takes. Never raises for what user code says."""
    return _Signatures(search_path).read(location)


def _reads(classes: Sequence[SourceClass]) -> Iterator[str]:
    for node in (each for cls in classes for each in ast.walk(cls.node)):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Load()):
                yield name


@dataclass(slots=True)
class _Found:
    parameters: dict[str, Parameter] = field(default_factory=dict)
    open: str = ""


class _Signatures:
    def __init__(self, search_path: Sequence[Any]) -> None:
        self.reader = Reader(search_path)
        self.modules = self.reader.modules
        self.annotations = Annotations(self.reader.evaluator)

    def read(self, location: Location) -> Signature:
        module = self.modules.module(location.module, location.file)
        if module is None or module.problem:
            problem = module.problem if module is not None and module.broken else ""
            open_ = "" if problem else (module.problem if module else "") or f"{location.file} can't be read"
            hint = "python -m py_compile shows the line"
            return Signature(location=location, parameters={}, open=open_, problem=problem, hint=hint)
        cls = self._class(module, location.class_name)
        if cls is None:
            return self._missing(module, location)
        mro = self.reader.mro(cls, ())
        found = self._of_init(mro, 0, 0)
        sources = [base for base in mro if isinstance(base, SourceClass)]
        return Signature(
            location=location,
            parameters=found.parameters,
            open=found.open,
            bases=frozenset(filter(None, map(_name, mro))),
            all_bases=not self.reader.unresolved and all(map(_is_known, mro)),
            methods=frozenset(n.name for c in sources for n in c.node.body if isinstance(n, ast.FunctionDef)),
            attributes=plain_attributes(users(mro)),
            reads=frozenset(_reads(sources)),
            doc=(ast.get_docstring(cls.node) or "").split("\n\n")[0].replace("\n", " "),
        )

    def _class(self, module: SourceModule, name: str) -> SourceClass | None:
        """The class, also one of a package whose modules are otherwise not opened (`torch.nn:ReLU`)."""
        found = self.modules.named(module, name)
        for _ in range(4):
            if not isinstance(found, ExternalSymbol):
                break
            package, _, last = found.name.rpartition(".")
            other = self.modules.module(package) if package and package != "builtins" else None
            found = other.names.get(last) if other is not None else None  # type: ignore[assignment]
        return found if isinstance(found, SourceClass) else None

    def _missing(self, module: SourceModule, location: Location) -> Signature:
        name = location.class_name
        open_ = f"{location.file} makes the class {name} in a way that its source does not show"
        if name in module.names or module.stars or "__getattr__" in module.names:
            return Signature(location=location, parameters={}, open=open_)
        from difflib import get_close_matches

        classes = [known for known, meaning in module.names.items() if not known.startswith("_")]
        near = get_close_matches(name, classes, 1)
        return Signature(
            location=location,
            parameters={},
            problem=f"there is no class '{name}' in {location.module}, {location.file}",
            hint=f"did you mean '{near[0]}'?" if near else "write the name of a class in that file",
        )

    def _of_init(self, mro: Sequence[SourceClass | ExternalSymbol], start: int, depth: int) -> _Found:
        """The arguments of the first `__init__` at or after place `start`, with those that it hands on."""
        for index in range(start, len(mro)):
            cls = mro[index]
            if isinstance(cls, ExternalSymbol):
                last = cls.name.rpartition(".")[2]
                if last in _WITHOUT_ARGUMENTS:
                    continue
                return _Found(open=f"the source of its base {cls.name} is not read")
            if _is_dataclass(cls):
                return self._of_fields(mro, index)
            functions = [n for n in cls.node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
            if functions:
                return self._of_function(mro, index, functions[-1], depth)
        unread = "; ".join(self.reader.unresolved)
        return _Found(open=unread)

    def _of_function(
        self, mro: Sequence[SourceClass | ExternalSymbol], index: int, function: ast.FunctionDef, depth: int
    ) -> _Found:
        cls = mro[index]
        assert isinstance(cls, SourceClass)
        given = function.args
        named = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [None] * (len(named) - len(given.defaults)) + list(given.defaults)
        pairs = [*zip(named[1:], defaults[1:], strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
        found = _Found({each.arg: self._parameter(cls, each.arg, each.annotation, d) for each, d in pairs})
        if given.kwarg is not None and depth < _DEEPEST:
            rest, taken = self._handed_on(mro, index, function, given.kwarg.arg, depth)
            known = found.parameters
            more = {name: each for name, each in rest.parameters.items() if name not in {*taken, *known}}
            found = _Found({**known, **more}, rest.open)
        return found

    def _handed_on(
        self, mro: Sequence[SourceClass | ExternalSymbol], index: int, function: ast.FunctionDef, name: str, depth: int
    ) -> tuple[_Found, set[str]]:
        """What `**kwargs` may hold: the arguments of the next `__init__`, and those among them that are taken."""
        uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == name]
        for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
            passes = any(k.arg is None and isinstance(k.value, ast.Name) and k.value.id == name for k in call.keywords)
            if passes and ast.unparse(call.func).startswith("super(") and len(uses) == 1:
                rest = self._of_init(mro, index + 1, depth + 1)
                positional = len([each for each in call.args if not isinstance(each, ast.Starred)])
                taken = {*list(rest.parameters)[:positional], *(k.arg for k in call.keywords if k.arg)}
                return rest, taken
        if not uses and "save_hyperparameters" not in ast.unparse(function):
            return _Found(), set()  # taken, and not looked at: a misspelled name would pass without effect
        return _Found(open=f"its **{name} may take others"), set()

    def _of_fields(self, mro: Sequence[SourceClass | ExternalSymbol], index: int) -> _Found:
        """Those of a dataclass: its fields and those of its bases, the base's first."""
        found: dict[str, Parameter] = {}
        for cls in reversed([base for base in mro[index:] if isinstance(base, SourceClass) and _is_dataclass(base)]):
            for statement in cls.node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    default, settable = _field_default(statement.value)
                    if settable and "ClassVar" not in ast.unparse(statement.annotation):
                        name = statement.target.id
                        found[name] = self._parameter(cls, name, statement.annotation, default)
        return _Found(found)

    def _parameter(
        self, cls: SourceClass, name: str, annotation: ast.expr | None, default: ast.expr | None
    ) -> Parameter:
        type_ = self.annotations.read(cls.module, annotation)
        value: Any = UNKNOWN
        if default is not None:
            value = self.reader.evaluator.value(cls.module, default)
            value = value.name if isinstance(value, Member) else plain(value)
            value = Expression(ast.unparse(default)) if value is UNKNOWN else value
        if value is None and not type_.optional:
            type_ = Type("union", items=(*(type_.items if type_.name == "union" else (type_,)), Type("none")))
        kind = _KINDS_OF_TYPES.get(type_.name, "any")
        return Parameter(
            name=name,
            kind=kind,
            default=value,
            choices=type_.choices,
            optional=type_.optional,
            owner=cls.name,
            type=type_,
            required=default is None,
        )


def any_parameter(name: str, owner: str) -> Parameter:
    """One that the source does not show: it takes any value, and is checked when the class is made."""
    return Parameter(name=name, kind="any", default=None, optional=True, owner=owner, type=ANY)


def _name(base: SourceClass | ExternalSymbol) -> str:
    """The base's name; '' for one that only shares a name with a class of Lightning."""
    name = base.name.rpartition(".")[2]
    top = (base.module.place.name if isinstance(base, SourceClass) else base.name).partition(".")[0]
    return "" if name in KINDS and top not in _OF_LIGHTNING else name


def _is_known(base: SourceClass | ExternalSymbol) -> bool:
    """Whether the source tells all that a base is derived from."""
    return isinstance(base, SourceClass) or base.name.rpartition(".")[2] in _WITHOUT_ARGUMENTS


def _is_dataclass(cls: SourceClass) -> bool:
    return any("dataclass" in ast.unparse(decorator) for decorator in cls.node.decorator_list)


def _field_default(value: ast.expr | None) -> tuple[ast.expr | None, bool]:
    """The default of a dataclass's field, and whether `__init__` takes the field."""
    if not isinstance(value, ast.Call) or not ast.unparse(value.func).endswith("field"):
        return value, True
    keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    init = keywords.get("init")
    return keywords.get("default") or keywords.get("default_factory"), not (
        isinstance(init, ast.Constant) and init.value is False
    )
