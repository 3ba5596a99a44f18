"""The parameter types that containers need beyond those of `param`: paths given as text, a list given as one
text, and second names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import param


class PathParameter(param.Parameter[Any]):
    """A `pathlib.Path`, or None where that is allowed. Text is taken as a path; empty text is None, and never the
    folder "."."""

    __slots__: list[str] = []

    def __init__(self, default: Any = None, **keywords: Any) -> None:
        super().__init__(default=_path(default), **keywords)

    def __set__(self, obj: Any, value: Any) -> None:
        super().__set__(obj, _path(value))

    def _validate(self, val: Any) -> None:
        if val is None and self.allow_None:
            return
        if not isinstance(val, Path):
            raise ValueError(f"{self.name or 'a path'} must be a path, not {val!r}")


class PathList(param.List[Any]):
    """A list of `pathlib.Path`; text in it is taken as a path."""

    __slots__: list[str] = []

    def __init__(self, default: Any = (), **keywords: Any) -> None:
        super().__init__(default=_paths(default), item_type=Path, **keywords)

    def __set__(self, obj: Any, value: Any) -> None:
        super().__set__(obj, _paths(value))


class StringList(param.List[Any]):
    """A list of text; one text alone is a list of it."""

    __slots__: list[str] = []

    def __init__(self, default: Any = (), **keywords: Any) -> None:
        super().__init__(default=_texts(default), item_type=str, **keywords)

    def __set__(self, obj: Any, value: Any) -> None:
        super().__set__(obj, _texts(value))


class IntTuple(param.NumericTuple[Any]):
    """A tuple of whole numbers."""

    __slots__: list[str] = []

    def _validate(self, val: Any) -> None:
        super()._validate(val)  # type: ignore[no-untyped-call]
        if val is not None and not all(type(item) is int for item in val):
            raise ValueError(f"{self.name or 'a tuple'} must have whole numbers only, not {val!r}")


class ListOrDictParam(param.Parameter[Any]):
    """A list or a dict. Text is taken as JSON where it begins like that, else as items with commas between them."""

    __slots__: list[str] = []

    def __set__(self, obj: Any, value: Any) -> None:
        if isinstance(value, str):
            is_json = value.lstrip().startswith(("{", "["))
            value = json.loads(value) if is_json else [word.strip() for word in value.split(",") if word.strip()]
        super().__set__(obj, value)

    def _validate(self, val: Any) -> None:
        if not isinstance(val, list | dict) and not (val is None and self.allow_None):
            raise ValueError(f"{self.name or 'a parameter'} must be a list or a dict, not {val!r}")


class Alias(param.Parameter[Any]):
    """Another name of the parameter `of`: reading and setting go there. `values` maps values of this name to those of
    `of`."""

    __slots__ = ["of", "values"]

    def __init__(self, *, of: str, values: Mapping[Any, Any] | None = None, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.of = of
        self.values = dict(values or {})

    def __get__(self, obj: Any, objtype: Any = None) -> Any:
        value = getattr(objtype if obj is None else obj, self.of)
        return next((own for own, other in self.values.items() if other == value), value)

    def __set__(self, obj: Any, value: Any) -> None:
        if obj is not None:
            setattr(obj, self.of, self.values.get(value, value))


class SplitList(param.Parameter[Any]):
    """One list over two parameters, `first` (a single value) and `rest` (a list): reading joins them, setting
    splits."""

    __slots__ = ["first", "rest"]

    def __init__(self, *, first: str, rest: str, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.first = first
        self.rest = rest

    def __get__(self, obj: Any, objtype: Any = None) -> Any:
        owner = objtype if obj is None else obj
        first = getattr(owner, self.first)
        return ([first] if first else []) + list(getattr(owner, self.rest))

    def __set__(self, obj: Any, value: Any) -> None:
        if obj is None:
            return
        if isinstance(value, str | Path):
            value = [value]
        if value:
            setattr(obj, self.first, value[0])
        setattr(obj, self.rest, list(value or [])[1:])


def _path(value: Any) -> Any:
    return (Path(value) if value.strip() else None) if isinstance(value, str) else value


def _texts(value: Any) -> Any:
    if isinstance(value, str):
        value = [value] if value.strip() else []
    return list(value) if isinstance(value, tuple) else value


def _paths(value: Any) -> Any:
    if isinstance(value, str | Path):
        value = [value]
    return (
        [Path(item) if isinstance(item, str) else item for item in value] if isinstance(value, list | tuple) else value
    )
