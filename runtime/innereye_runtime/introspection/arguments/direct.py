"""The classes that a manifest names as `model` and `data`, and the objects among their arguments, each compared with
the signature of its class. Nothing is imported.

An argument's name here has its place before it: `model.lr`, `data.batch_size`, `model.encoder.depth`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from innereye_runtime.compat.lightning_alias import real_name
from innereye_runtime.diagnostics.diagnostic import Diagnostic, Severity
from innereye_runtime.introspection.arguments.unknown_names import near_arguments
from innereye_runtime.introspection.discovery import DiscoveryError, Location, find
from innereye_runtime.introspection.static.module_files import locate
from innereye_runtime.introspection.static.signatures import Signature, any_parameter, read_signature
from innereye_runtime.manifest.loading import Loaded
from innereye_runtime.manifest.model import ClassArgs
from innereye_runtime.manifest.yaml.document import Document, dotted
from innereye_runtime.manifest.yaml.document import Path as Place
from innereye_runtime.parameters.annotations import CALLABLE, Type, is_class
from innereye_runtime.parameters.overrides import Override
from innereye_runtime.parameters.parameter import Parameter

_WANTED: Final = {"model": "LightningModule", "data": "LightningDataModule"}


@dataclass(frozen=True, slots=True)
class Given:
    value: Any
    place: Place
    """In the manifest."""


@dataclass(slots=True, kw_only=True)
class DirectClasses:
    """What `model` and `data` of one manifest are."""

    parameters: dict[str, Parameter] = field(default_factory=dict)
    given: dict[str, Given] = field(default_factory=dict)
    """The arguments that the manifest sets."""
    places: dict[str, Place] = field(default_factory=dict)
    """Where each argument stands, or would stand, in a manifest."""
    classes: dict[str, Signature] = field(default_factory=dict)
    """By place: `model`, `data`, `model.encoder`."""
    diagnostics: list[Diagnostic] = field(default_factory=list)

    unread: set[str] = field(default_factory=set)
    """`model` or `data`, where its class can't be used."""

    def with_runtime(self, own: Mapping[str, Parameter]) -> dict[str, Parameter]:
        """All parameters of the job. `own`: those of a container, without the optimizer's where the model does not take
        its optimizer from them: setting those would do nothing.
        """
        model = self.classes.get("model")
        unused = model is not None and model.all_bases and "LightningModuleWithOptimizer" not in model.bases
        kept = {name: each for name, each in own.items() if not (unused and each.owner == "OptimizerParams")}
        return {**self.parameters, **kept}

    @property
    def top(self) -> dict[str, Location]:
        """The classes of `model` and of `data`."""
        return {name: self.classes[name].location for name in _WANTED if name in self.classes}

    def is_unread(self, name: str) -> bool:
        """Whether it is an argument of a class that can't be used, about which enough is said."""
        return name.partition(".")[0] in self.unread

    @property
    def locations(self) -> tuple[Location, ...]:
        return tuple(signature.location for signature in self.classes.values())


def read_direct(loaded: Loaded, search_path: Sequence[Path], overrides: Sequence[Override] = ()) -> DirectClasses:
    """The classes of a manifest that has a `model`, with every problem of their names and of the names of their
    arguments. Values are left to the checker, which knows the command line too.
    """
    assert loaded.document is not None  # it has a model, so its text was read
    sweep = loaded.document.value.get("sweep")
    varied = sweep.get("search_space") if isinstance(sweep, dict) else None
    set_elsewhere = [*(override.name for override in overrides), *(varied if isinstance(varied, dict) else ())]
    reader = _Reader(loaded.document, search_path, set_elsewhere)
    for name, given in (("model", loaded.model), ("data", loaded.data)):
        if given is not None:
            reader.top(name, given)
    reader.check_data(loaded)
    return reader.found


def read_loggers(document: Document, search_path: Sequence[Path]) -> DirectClasses:
    """The classes of `trainer.arguments.logger`, with every problem of their names and of the names of their arguments,
    which are `trainer.arguments.logger.project` and the like.
    """
    reader = _Reader(document, search_path, ())
    reader.loggers(("trainer", "arguments", "logger"))
    return reader.found


class _Reader:
    def __init__(self, document: Document, search_path: Sequence[Path], overridden: Sequence[str]) -> None:
        self.document = document
        self.search_path = search_path
        self.overridden = overridden
        self.found = DirectClasses()

    def top(self, name: str, given: ClassArgs) -> None:
        signature = self._read(name, (name,), given.class_name)
        if signature is None:
            self.found.unread.add(name)
            return
        if signature.kind not in (_WANTED[name], "unknown"):
            self._problem("E309", (name, "class"), *self._refusal(name, signature))
            self.found.unread.add(name)
            del self.found.classes[name]
            return
        if name == "model" and signature.all_bases and not {"test_step", "inference_step"} & signature.methods:
            what = f"{signature.location.class_name} has neither a test_step nor an inference_step"
            hint = "add a test_step, or derive it from InnerEyeInference and write inference_step"
            message = f"{what}: it is trained, and not evaluated"
            self._problem("W313", (name, "class"), message, hint, severity="warning")
        for message, hint in near_arguments(signature):
            self._problem("W312", (name, "class"), message, hint, severity="warning")
        self._arguments(name, (name,), given.args, signature)

    def check_data(self, loaded: Loaded) -> None:
        """A model without `data` needs loaders of its own."""
        model = self.found.classes.get("model")
        if loaded.data is not None or model is None or not model.all_bases or "data" in _keys(self.document.value):
            return
        if "train_dataloader" not in model.methods and model.kind == "LightningModule":
            message = f"{model.location.class_name} has no train_dataloader, and the manifest has no 'data'"
            hint = "add 'data: {class: package.module:ClassName}', the LightningDataModule"
            self._problem("E309", ("model", "class"), message, hint)

    def loggers(self, place: tuple[str, ...]) -> None:
        given: Any = self.document.value
        for step in place:
            given = _keys(given).get(step)
        several = isinstance(given, list)
        for index, each in enumerate(given if several else [given]):
            at: Place = (*place, index) if several else place
            if is_class(each):
                self._object(dotted(at), at, each, Type("object", label="Logger"))

    def _refusal(self, name: str, signature: Signature) -> tuple[str, str]:
        location, wanted = signature.location, _WANTED[name]
        message = f"{location.class_name} is not a {wanted}: {location.file}:{location.line}"
        spelled = f"{location.module}:{location.class_name}"
        match signature.kind:
            case "LightningContainer":
                return message, f"write 'container: {{class: {spelled}}}' in place of 'model' and 'data'"
            case "LightningModule" | "LightningDataModule":
                other = "model" if name == "data" else "data"
                return message, f"'{other}' is the place for it: {other}: {{class: {spelled}}}"
            case _:
                return message, f"name the {wanted}, or derive {location.class_name} from it"

    def _read(self, name: str, place: Place, class_name: str) -> Signature | None:
        """The signature of a class, kept; None where there is none to compare with, which is said."""
        try:
            location = find(class_name, (), self.search_path)
        except DiscoveryError as error:
            top = real_name(class_name.partition(":")[0]).partition(".")[0]
            if "." in name and locate(top, self.search_path) is None:
                what = f"{class_name} is not installed here: its arguments are checked when it is imported"
                hint = f"pip install {top} where it trains"
                if top != "pytorch_lightning":  # which is there
                    self._problem("W311", (*place, "class"), what, hint, severity="warning")
                self._open(name, place, class_name)
            else:
                self._problem("E300", (*place, "class"), str(error), error.hint)
            return None
        signature = read_signature(location, self.search_path)
        if signature.problem:
            self._problem("E300", (*place, "class"), signature.problem, signature.hint)
            return None
        self.found.classes[name] = signature
        return signature

    def _arguments(self, name: str, place: Place, args: Mapping[str, Any], signature: Signature) -> None:
        owner, known = signature.location.class_name, signature.parameters
        if signature.open:
            what = f"not all arguments of {owner} are known from its source: {signature.open}"
            hint = "the running side imports the class, and checks its arguments before training"
            self._problem("N300", (*place, "class"), what, hint, severity="note")
        for argument, parameter in known.items():
            self._declare(f"{name}.{argument}", (*place, "args", argument), parameter)
        overridden = [each.removeprefix(f"{name}.") for each in self.overridden if each.startswith(f"{name}.")]
        for argument in (*args, *overridden) if signature.open else ():
            if argument not in known and "." not in argument:
                self._declare(f"{name}.{argument}", (*place, "args", argument), any_parameter(argument, owner))
        for argument, value in args.items():
            if f"{name}.{argument}" in self.found.parameters:
                self._given(f"{name}.{argument}", (*place, "args", argument), value)
            else:
                message = f"{owner} has no argument '{argument}'"
                self._problem("E301", (*place, "args", argument), message, _suggested(argument, signature), key=True)
        set_ = {*args, *(each.partition(".")[0] for each in overridden)}
        for argument, parameter in known.items():
            if parameter.required and argument not in set_ and parameter.type is not None:
                message = f"{owner} needs the argument '{argument}', {parameter.type.noun}, which has no default"
                hint = f"add '{argument}: {parameter.type.example}' to {dotted((*place, 'args'))}"
                self._problem("E315", (*place, "class"), message, hint)

    def _declare(self, name: str, place: Place, parameter: Parameter) -> None:
        self.found.parameters[name] = replace(parameter, name=name)
        self.found.places[name] = place

    def _given(self, name: str, place: Place, value: Any) -> None:
        parameter = self.found.parameters[name]
        type_ = parameter.type
        if not is_class(value) or (type_ is not None and not type_.takes_object):
            self.found.given[name] = Given(value, place)
            for index, item in enumerate(value if isinstance(value, list) else ()):
                if is_class(item):
                    self._object(f"{name}.{index}", (*place, index), item, None)
            return
        self._object(name, place, value, type_)
        del self.found.parameters[name], self.found.places[name]
        shown = Parameter(
            name=f"{name}.class",
            kind="string",
            default=value["class"],
            settable=False,
            owner=parameter.owner,
            origin="class",
        )
        self.found.parameters[shown.name] = shown

    def _object(self, name: str, place: Place, value: Mapping[str, Any], type_: Type | None) -> None:
        signature = self._read(name, place, value["class"])
        if signature is None:
            return
        wanted = type_.classes if type_ is not None else ()
        fits = {*wanted} & {CALLABLE, *signature.bases} or (signature.kind == "LightningModule" and "Module" in wanted)
        if wanted and signature.all_bases and not fits:
            message = f"{name} must be an object of {wanted[0]}, and {signature.location.class_name} is not one"
            self._problem("E303", (*place, "class"), message, f"name a class that is derived from {wanted[0]}")
            return
        self._arguments(name, place, value.get("args") or {}, signature)

    def _open(self, name: str, place: Place, class_name: str) -> None:
        """Takes the arguments of a class that is not here as they are."""
        node = self.document.node(place).children.get("args")
        args = node.value if node is not None and isinstance(node.value, dict) else {}
        for argument in args:
            where = (*place, "args", argument)
            self._declare(f"{name}.{argument}", where, any_parameter(argument, class_name))
            self.found.given[f"{name}.{argument}"] = Given(args[argument], where)

    def _problem(
        self, code: str, place: Place, message: str, hint: str = "", *, severity: Severity = "error", key: bool = False
    ) -> None:
        span = self.document.span(place, key=key)
        self.found.diagnostics.append(self.document.diagnostic(code, span, message, hint=hint, severity=severity))


def _suggested(name: str, signature: Signature) -> str:
    from difflib import get_close_matches

    names = list(signature.parameters)
    if near := get_close_matches(name, names, 1):
        return f"did you mean '{near[0]}'?"
    if not names:
        return f"{signature.location.class_name} takes no arguments"
    return f"its arguments are {', '.join(names)}"


def _keys(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
