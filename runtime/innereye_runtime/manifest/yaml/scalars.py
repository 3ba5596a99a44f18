"""What an unquoted word of a manifest is, by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema).

YAML 1.1 reads some of these otherwise: `1e-3` as text, `on` and `yes` as booleans, `2024-01-01` as a date, `1_000` and
`1:30` as numbers. `like_yaml_1_1` names those, for messages that explain the difference.
"""

from __future__ import annotations

import re
from typing import Literal

Scalar = str | int | float | bool | None

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NAN = re.compile(r"\.(?:nan|NaN|NAN)")

_OTHERWISE = {
    "boolean": re.compile(r"(?:y|yes|n|no|on|off)", re.IGNORECASE),
    "date": re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?"),
    "number": re.compile(r"[-+]?[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|[-+]?[0-9]+(?::[0-5]?[0-9])+"),
}

MAX_DIGITS = 300
"""A longer number is refused: no float holds it, and reading it would cost more than it is worth."""


def resolve(text: str) -> Scalar:
    """The value of the unquoted scalar `text`; a float may be infinite or not a number.

    Raises:
        ValueError: a number of more than `MAX_DIGITS` characters.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text[0] in "tT"
    if text[0] not in "+-.0123456789":
        return text
    if len(text) > MAX_DIGITS:
        if _FLOAT.fullmatch(text) or _HEX.fullmatch(text) or _OCTAL.fullmatch(text):
            raise ValueError(f"a number of {len(text)} characters")
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        return int(text, 0)
    if _INFINITY.fullmatch(text):
        return float("-inf" if text[0] == "-" else "inf")
    if _NAN.fullmatch(text):
        return float("nan")
    return text


def like_yaml_1_1(text: str) -> Literal["boolean", "date", "number"] | None:
    """What a YAML 1.1 reader takes this text for, where that is not text; None where both agree."""
    for kind, pattern in _OTHERWISE.items():
        if pattern.fullmatch(text):
            return kind  # type: ignore[return-value]
    return None
