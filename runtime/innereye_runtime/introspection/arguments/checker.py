"""A container's arguments, checked against its parameters before anything is built, queued or paid for; and set on it.

Lowest first: the parameter's default, the class's own value, the manifest, the command line. Codes: E3xx in the
manifest, E4xx on the command line, with the same last digits for the same problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from innereye_runtime.diagnostics.diagnostic import Diagnostic
from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments import references
from innereye_runtime.introspection.arguments.locations import ArgumentLocation, CommandLine, ManifestText
from innereye_runtime.introspection.arguments.unknown_names import hint_for_unknown
from innereye_runtime.introspection.static.class_reader import Attribute
from innereye_runtime.manifest.builder import expanded
from innereye_runtime.parameters import constraints
from innereye_runtime.parameters.annotations import accept as accept_annotated
from innereye_runtime.parameters.overrides import Override, parse
from innereye_runtime.parameters.parameter import UNKNOWN, Parameter, effective
from innereye_runtime.parameters.values import ValueProblemError, accept, shown

if TYPE_CHECKING:
    from innereye_runtime.api.container import LightningContainer
    from innereye_runtime.introspection.arguments.direct import DirectClasses
    from innereye_runtime.manifest.loading import Loaded
    from innereye_runtime.manifest.model import Manifest

Origin = Literal["default", "class", "manifest", "command line"]

_UNKNOWN_NAME = 1
_NOT_SETTABLE = 2
_DUPLICATE = 7
_CONTRADICTION = 8
_REFERENCE = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """The effective value of one parameter and where it came from."""

    name: str
    value: Any
    """As Python has it, enum members by their value; `UNKNOWN` where only the imported class will tell."""
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedArguments:
    arguments: Mapping[str, Argument]
    """Every public parameter, in the order of declaration."""
    diagnostics: tuple[Diagnostic, ...]


def check(
    parameters: Mapping[str, Parameter],
    *,
    loaded: Loaded | None = None,
    overrides: Sequence[Override] = (),
    incomplete: bool = False,
    cwd: Path | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    direct: DirectClasses | None = None,
    one_run: bool = True,
) -> CheckedArguments:
    """The effective arguments of a container with these `parameters`, and every problem of manifest and overrides.

    `incomplete`: the parameters may not be all that the class has (its source does not tell), so that an unknown name
    is a warning and no error. `attributes`: what the class has that is no parameter, for hints. `direct`: the classes
    of `model` and `data`, whose arguments are checked too; their parameters are among `parameters`. `one_run`: the job
    can't be a run for each split. Relative paths count from the manifest; those of overrides from `cwd`, where it is
    given.
    """
    checking = ArgumentChecker(parameters, incomplete, attributes or {})
    if loaded is not None:
        text = ManifestText(loaded)
        path = loaded.manifest.path if loaded.manifest is not None else None
        folder = path.parent if path is not None else cwd
        for name, value in text.arguments().items():
            checking.set_value(name, value, text.argument(name), "manifest", folder)
        for name, given in (direct.given if direct is not None else {}).items():
            checking.set_value(name, given.value, text.at(given.place, name), "manifest", folder)
        epochs = text.num_epochs()
        if epochs is not None and "num_epochs" in parameters:
            checking.set_value("num_epochs", epochs, text.trainer_epochs(), "manifest", folder)
    line = CommandLine(overrides)
    for index, override in enumerate(overrides):
        checking.override(override, line.override(index), cwd)
    checking.check_rules(text.container_class() if loaded is not None else None, one_run=one_run)
    checking.check_references(loaded.manifest if loaded is not None else None)
    in_order = sorted(checking.diagnostics, key=lambda problem: (problem.source == line.source, problem.span))
    return CheckedArguments(arguments=checking.arguments(), diagnostics=tuple(in_order))


def apply(container: LightningContainer, checked: CheckedArguments) -> None:
    """Sets what the manifest and the command line say on `container`, and validates it.

    Raises:
        UsageError: the class refuses a value, or values that contradict each other.
    """
    assign(container, checked.arguments)
    try:
        container.validate()
    except ValueError as error:
        raise UsageError(f"{type(container).__name__}: {error}") from error


def assign(container: LightningContainer, arguments: Mapping[str, Argument]) -> None:
    """Sets what the manifest and the command line say on `container`.

    Raises:
        UsageError: the class refuses a value.
    """
    from innereye_runtime.parameters.from_class import python_value
    from innereye_runtime.parameters.types import Alias, SplitList

    declared = container.param.objects("existing")
    given = [argument for argument in arguments.values() if argument.origin in ("manifest", "command line")]
    for argument in given:
        parameter = declared.get(argument.name)
        if parameter is None or isinstance(parameter, Alias | SplitList):
            continue
        try:
            setattr(container, argument.name, python_value(parameter, argument.value))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{type(container).__name__} does not take {argument.name}={shown(argument.value)}: {error}"
            ) from error


class ArgumentChecker:
    """Values as they are given, one after another; later ones win over earlier ones of another origin."""

    def __init__(
        self, parameters: Mapping[str, Parameter], incomplete: bool, attributes: Mapping[str, Attribute]
    ) -> None:
        self.parameters = parameters
        self.attributes = attributes
        self.incomplete = incomplete
        self.diagnostics: list[Diagnostic] = []
        self.given: dict[str, tuple[Any, Origin]] = {}
        self.places: dict[str, ArgumentLocation] = {}
        self.named_by: dict[tuple[str, Origin], str] = {}
        self.flags: dict[str, tuple[bool, str]] = {}

    def set_value(self, name: str, value: Any, place: ArgumentLocation, origin: Origin, folder: Path | None) -> None:
        parameter = self._settable(name, place)
        if parameter is not None:
            try:
                typed = parameter.type
                accepted = accept_annotated(typed, value, name) if typed is not None else accept(parameter, value)
                self._set(parameter, _anchored(accepted, folder), place, origin)
            except ValueProblemError as problem:
                self._problem(place, problem.reason, str(problem), _remedy(problem, parameter), at_value=True)

    def override(self, override: Override, place: ArgumentLocation, cwd: Path | None) -> None:
        name, text = override.target(self.parameters)
        negated, word = self.flags.setdefault(name, (name != override.name, override.argument))
        if negated != (name != override.name):
            self._problem(place, _DUPLICATE, f"{word} and {override.argument} say the opposite", "keep one of them")
            return
        parameter = self._settable(name, place)
        if parameter is None:
            return
        if parameter.kind in ("integer", "number") and text is not None and not text.strip():
            return  # an empty value means the default, and the manifest is silent or has said it
        try:
            self._set(parameter, _anchored(parse(parameter, text), cwd), place, "command line")
        except ValueProblemError as problem:
            hint = _remedy(problem, parameter)
            self._problem(place, problem.reason, str(problem), hint, at_value=text is not None)

    def _settable(self, name: str, place: ArgumentLocation) -> Parameter | None:
        parameter = self.parameters.get(name)
        if parameter is None:
            self._unknown(name, place)
        elif not parameter.settable:
            why = "is private" if name.startswith("_") else "is constant"
            self._problem(place, _NOT_SETTABLE, f"'{name}' can't be set: it {why} in {parameter.owner}", "delete it")
            return None
        return parameter

    def _unknown(self, name: str, place: ArgumentLocation) -> None:
        written = place.lines(at_value=False)[0][place.key.end_column - 1 : place.value.end_column - 1]
        on_command_line = (written or "=VALUE") if place.code_prefix == 4 else ""
        hint = hint_for_unknown(name, self.parameters, self.attributes, written=on_command_line)
        if self.incomplete:
            message = f"'{name}' was not found in the source of the class; it is checked when the class is imported"
            self._problem(place, _UNKNOWN_NAME, message, hint, warning=True)
        else:
            hint = hint or "innereye-run explain MANIFEST shows all parameters of the class, its own first"
            direct = any("." in known for known in (name, *self.parameters))
            what = "there is no parameter" if direct else "the container has no parameter"
            self._problem(place, _UNKNOWN_NAME, f"{what} '{name}'", hint)

    def _set(self, parameter: Parameter, value: Any, place: ArgumentLocation, origin: Origin) -> None:
        for name, target_value in _targets(parameter, value):
            before = self.given.get(name)
            other = self.named_by.get((name, origin))
            same_word = other == parameter.name and origin == "command line"
            if before is not None and before[1] == origin and before[0] != target_value and not same_word:
                message = (
                    f"{parameter.name} is {shown(value)} here, and {self.places[name].label} says {shown(before[0])}"
                )
                self._problem(place, _DUPLICATE, message, "set it once", at_value=True)
                continue
            self.given[name] = (target_value, origin)
            self.places[name] = place
            self.named_by[(name, origin)] = parameter.name

    def check_rules(self, of_class: ArgumentLocation | None, *, one_run: bool) -> None:
        """Tells where values contradict each other, as the class itself would when it validates them. `of_class`: the
        place that names the class, for values that it gives itself.
        """
        values = {name: argument.value for name, argument in self.arguments().items()}
        for rule in (each for each in constraints.ALL if one_run or each is not constraints.ONE_SPLIT):
            given = [name for name in rule.names if name in self.places]
            own = [name for name in rule.names if name in self.parameters and self.parameters[name].origin == "class"]
            place = self.places[given[-1]] if given else of_class if own else None
            if place is not None and all(values.get(name, UNKNOWN) is not UNKNOWN for name in rule.names):
                problem = rule.problem(values)
                if problem:
                    in_class = "" if given else " in the class"
                    hint = rule.hint or f"change {' or '.join(given or own)}{in_class}"
                    self._problem(place, _CONTRADICTION, problem, hint, at_value=True)

    def check_references(self, manifest: Manifest | None) -> None:
        """Tells where `${dataset}` and the like name what is not there. Without a manifest, all may be there."""
        datasets = references.count(None if manifest is None else len(manifest.datasets), self.given)
        splits = {"number_of_cross_validation_splits", "crossval_count"} & self.given.keys()
        folds = manifest is None or manifest.cross_validation is not None or bool(splits)
        for name, (value, _) in self.given.items():
            for each in references.references(value) if self.parameters[name].type is not None else ():
                if problem := references.problem_of(each, datasets, folds=folds):
                    self._problem(self.places[name], _REFERENCE, *problem, at_value=True)

    def arguments(self) -> dict[str, Argument]:
        """The effective value of each public parameter; of an object that the command line replaced, none."""
        replaced = tuple(f"{name}." for name, (_, origin) in self.given.items() if origin == "command line")
        return {
            name: Argument(name=name, value=value, origin=origin)
            for name, (value, origin) in effective(self.parameters, self.given).items()
            if not name.startswith(("_", *replaced))
        }

    def _problem(
        self,
        place: ArgumentLocation,
        number: int,
        message: str,
        hint: str = "",
        *,
        at_value: bool = False,
        warning: bool = False,
    ) -> None:
        self.diagnostics.append(
            Diagnostic(
                code=f"{'W' if warning else 'E'}{place.code_prefix}{number:02}",
                message=message,
                span=place.value if at_value else place.key,
                source=place.source,
                lines=place.lines(at_value=at_value),
                hint=hint,
                severity="warning" if warning else "error",
            )
        )


def _remedy(problem: ValueProblemError, parameter: Parameter) -> str:
    if problem.hint:
        return problem.hint
    if parameter.default is UNKNOWN or parameter.default is None:
        return "innereye-run explain MANIFEST shows what it is for"
    return f"its default is {shown(parameter.default)}"


def _targets(parameter: Parameter, value: Any) -> list[tuple[str, Any]]:
    """The parameters that are set, with their values: those behind a second name."""
    if parameter.alias_of:
        return [(parameter.alias_of, dict(parameter.renamed).get(value, value))]
    if parameter.merges_with is not None:
        first, rest = parameter.merges_with
        return [(first, value[0] if value else None), (rest, list(value[1:]))] if value else [(rest, [])]
    return [(parameter.name, value)]


def _anchored(value: Any, folder: Path | None) -> Any:
    """Relative paths made absolute, since training's working directory is the run folder."""
    if folder is None:
        return value
    if isinstance(value, list):
        return [_anchored(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _anchored(item, folder) for key, item in value.items()}
    return folder / expanded(value) if isinstance(value, Path) else value
