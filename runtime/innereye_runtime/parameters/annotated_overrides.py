"""Arguments of `model` and `data` from the command line: `--model.lr=1e-2`, read by the annotation of the argument.

Text is read as a manifest would read it; items of a list stand with commas between them, or as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from innereye_runtime.manifest.yaml.scalars import resolve
from innereye_runtime.parameters.annotations import Type, accept
from innereye_runtime.parameters.values import TYPE, ValueProblemError

_TRUE: Final = frozenset(("on", "t", "true", "y", "yes", "1"))
_FALSE: Final = frozenset(("off", "f", "false", "n", "no", "0"))


def parse(type_: Type, text: str | None, name: str) -> Any:
    """The value that `text` on the command line means; None as text is a flag without a value.

    Raises:
        ValueProblemError: it means none that the type takes.
    """
    if text is None:
        if _takes(type_, "boolean"):
            return True
        raise ValueProblemError(f"{name} needs a value", TYPE, f"write --{name}=VALUE")
    readings = list(_readings(type_, text))
    for reading in readings:
        with suppress(ValueProblemError):
            return accept(type_, reading, name)
    return accept(type_, readings[0], name)


def _readings(type_: Type, text: str) -> Iterator[Any]:
    """What `text` may mean, the likeliest first."""
    word = text.strip()
    if _takes(type_, "boolean") and not _takes(type_, "integer") and word.lower() in _TRUE | _FALSE:
        yield word.lower() in _TRUE
    if not word and type_.optional and not _takes(type_, "string"):
        yield None
    if word[:1] in ("[", "{"):
        with suppress(ValueError):
            yield json.loads(word)
    scalars = [_scalar_of(word), *([text] if isinstance(_scalar_of(word), str) or not word else [])]
    if type_.name in ("string", "path"):
        scalars = [text]
    if _takes(type_, "list") or _takes(type_, "tuple"):
        words = [part.strip() for part in word.strip("[]()").split(",")] if word else []
        items = [_scalar_of(part) for part in words]
        if type_.name in ("list", "tuple"):
            yield from (items, words)
        elif len(items) > 1:
            yield items
    yield from scalars
    yield text


def _scalar_of(word: str) -> Any:
    try:
        return resolve(word) if word else ""
    except ValueError:
        return word


def _takes(type_: Type, name: str) -> bool:
    return type_.name == name or (type_.name == "union" and any(_takes(item, name) for item in type_.items))
