"""What is known of one parameter of a container class, whoever looked: the source reader or the imported class."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

Kind = Literal["boolean", "integer", "number", "string", "path", "enum", "list", "tuple", "dict", "date", "any"]


class _Unknown(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown.UNKNOWN
"""Stands where the source alone does not tell a value (it is computed when the class is made)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: its type, its limits and where it was declared. Values are those of Python, not of YAML."""

    name: str
    kind: Kind
    default: Any = UNKNOWN
    doc: str = ""
    item: Kind = "any"
    """Of a list or a tuple: the kind of its items."""
    length: int | None = None
    """Of a tuple."""
    choices: tuple[Any, ...] = ()
    """Of an enum: its values, as a manifest writes them."""
    bounds: tuple[float | None, float | None] = (None, None)
    inclusive: tuple[bool, bool] = (True, True)
    optional: bool = False
    """None is a value."""
    settable: bool = True
    """False: private, constant or read-only, so neither a manifest nor the command line may set it."""
    owner: str = ""
    """The class that declares it."""
    origin: Literal["default", "class"] = "default"
    """`class`: the value stands in a class's own `__init__`, not in the declaration."""
