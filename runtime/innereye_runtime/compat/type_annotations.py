"""Names for types that many containers write."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PathOrString = Path | str
StringOrStringList = str | list[str]
PathOrPathList = Path | list[Path]
IntOrString = int | str
DictStrFloat = dict[str, float]
TupleInt2 = tuple[int, int]
TupleInt3 = tuple[int, int, int]
TupleFloat2 = tuple[float, float]
TupleFloat3 = tuple[float, float, float]
