"""The container of a job that names none: its model and its data are the classes that the manifest names as `model` and
`data`."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from innereye_runtime.api.container import LightningContainer
from innereye_runtime.errors import UsageError
from innereye_runtime.introspection.arguments import references
from innereye_runtime.introspection.discovery import find, load
from innereye_runtime.job.resolve import Job
from innereye_runtime.manifest.model import ClassArgs
from innereye_runtime.parameters.annotations import is_class


def direct_container(job: Job) -> LightningContainer | None:
    """A container that makes the job's model and data, named as the model's class; None where the manifest names a
    container.

    Raises:
        UsageError: a class is not what it has to be, or does not take the arguments.
    """
    if job.manifest.model is None:
        return None
    model, data = job.manifest.model, job.manifest.data
    for given, wanted in ((model, pl.LightningModule), (data, pl.LightningDataModule)):
        if given is not None:
            _check(given, wanted, job)
    own: type[_DirectContainer] = type(job.location.class_name, (_DirectContainer,), {"__module__": __name__})
    container = own()
    container._job, container._data = job, None
    return container


class _DirectContainer(LightningContainer):
    _job: Job
    _data: pl.LightningDataModule | None

    def create_model(self) -> pl.LightningModule:
        assert self._job.manifest.model is not None
        model: pl.LightningModule = self._make(self._job.manifest.model)
        return model

    def get_data_module(self) -> pl.LightningDataModule:
        """The one data module, also for inference; None where the model has the loaders."""
        if self._data is None and self._job.manifest.data is not None:
            self._data = self._make(self._job.manifest.data)
        return self._data  # type: ignore[return-value]

    def _make(self, given: ClassArgs) -> Any:
        found = [self.local_dataset, *self.extra_local_dataset_paths]
        datasets = [path for path in found if path is not None]
        args = references.replaced(given.args, known_in(self), datasets)
        return make(_loaded(given.class_name, self._job.search_path), args, self._job.search_path)


def known_in(container: LightningContainer) -> dict[str, Path | int]:
    """What `${run}`, and in a fold `${fold}` and `${splits}`, stand for."""
    known: dict[str, Path | int] = {"run": Path(str(container.output_to))}
    if container.perform_cross_validation:
        splits, fold = container.number_of_cross_validation_splits, container.cross_validation_split_index
        known |= {"fold": int(fold), "splits": int(splits)}
    return known


def make(cls: type, args: Mapping[str, Any], search_path: Sequence[Path]) -> Any:
    """An instance of `cls`, each argument as its annotation wants it: a Path for text, the member of an enum for its
    name, an object for its class and arguments.

    Raises:
        UsageError: the class takes no such argument, or needs another one.
    """
    hints = _hints(cls)
    values = {name: _converted(value, hints.get(name), search_path) for name, value in args.items()}
    _bind(cls, values)
    return cls(**values)


def _check(given: ClassArgs, wanted: type, job: Job) -> None:
    cls = _loaded(given.class_name, job.search_path)
    if not issubclass(cls, wanted):
        raise UsageError(
            f"{given.class_name} is not a {wanted.__name__}", hint=f"derive {cls.__name__} from pl.{wanted.__name__}"
        )
    _bind(cls, given.args)


def _bind(cls: type, args: Mapping[str, Any]) -> None:
    try:
        inspect.signature(cls).bind(**args)
    except ValueError:  # a class of C without a signature says it itself
        return
    except TypeError as error:
        takes = ", ".join(inspect.signature(cls).parameters) or "none"
        raise UsageError(f"{cls.__name__} does not take its arguments: {error}", hint=f"it takes {takes}") from None


def _loaded(class_name: str, search_path: Sequence[Path]) -> type:
    return load(find(class_name, (), search_path), search_path)


def _hints(cls: type) -> dict[str, Any]:
    """The annotation of each argument, those of the class before those of its bases."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        init = vars(base).get("__init__")
        for name, annotation in getattr(init, "__annotations__", {}).items():
            one = types.SimpleNamespace(__annotations__={name: annotation})
            try:
                found |= typing.get_type_hints(one, globalns=getattr(init, "__globals__", {}))
            except (AttributeError, NameError, SyntaxError, TypeError):
                found[name] = None  # imported for type checkers alone: the value goes as it is
    return found


def _converted(value: Any, hint: Any, search_path: Sequence[Path]) -> Any:
    if is_class(value) and not _is_mapping(hint):
        return make(_loaded(value["class"], search_path), value.get("args") or {}, search_path)
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _in_union(value, inner, search_path)
    if origin is typing.Annotated:
        return _converted(value, inner[0], search_path)
    if isinstance(value, list):
        return _list(value, hint if origin is None else origin, inner, search_path)
    if isinstance(value, dict):
        of = inner[1] if len(inner) == 2 else None
        return {key: _converted(item, of, search_path) for key, item in value.items()}
    return _scalar(value, hint)


def _is_mapping(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(map(_is_mapping, typing.get_args(hint)))
    plain = typing.get_origin(hint) or hint
    return inspect.isclass(plain) and issubclass(plain, Mapping)


def _in_union(value: Any, members: Sequence[Any], search_path: Sequence[Path]) -> Any:
    """`value` as the first of the members has it that it can be; text stays text where text is one of them."""
    if value is None or type(value) in members:
        return value
    for member in members:
        try:
            converted = _converted(value, member, search_path)
        except (TypeError, ValueError):
            continue
        plain = typing.get_origin(member) or member
        if inspect.isclass(plain) and isinstance(converted, plain):
            return converted
    return _converted(value, None, search_path)


def _list(value: list[Any], kind: Any, inner: Sequence[Any], search_path: Sequence[Path]) -> Any:
    fixed = kind is tuple and len(inner) == len(value) and ... not in inner
    each = inner if fixed else [inner[0] if inner else None] * len(value)
    items = [_converted(item, hint, search_path) for item, hint in zip(value, each, strict=True)]
    return kind(items) if kind in (tuple, set, frozenset) else items


def _scalar(value: Any, hint: Any) -> Any:
    if not inspect.isclass(hint):
        return value
    if issubclass(hint, Enum):
        return hint[value] if isinstance(value, str) and value in hint.__members__ else hint(value)
    if issubclass(hint, Path) and isinstance(value, str):
        return hint(value)
    if hint is float and type(value) is int:
        return float(value)
    return value
