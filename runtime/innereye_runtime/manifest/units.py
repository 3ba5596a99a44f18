"""Sizes and times as a manifest writes them (`2g`, `90m`), held as whole bytes and whole seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_MEMORY = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_BYTES = (1 << 63) - 1
"""What an engine can be asked for."""
MAX_SECONDS = 36_500 * 86_400
"""A hundred years: a timer takes no more than three times that."""


@dataclass(frozen=True, slots=True, order=True)
class Memory:
    bytes: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The size that `text` names: a number and b, k, m, g or t (powers of 1024, as Docker counts), any case.

        Raises:
            ValueError: `text` is no size, nothing, or 8 EiB and more.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([bkmgt]?)(?:i?b)?", text.strip().lower())
        if match is None or not 0 < (size := round(float(match[1]) * _MEMORY[match[2]])) <= _MOST_BYTES:
            raise ValueError(f"'{text}' is not a size; write a number and a unit, as in 512m or 2g")
        return cls(size)

    def __str__(self) -> str:
        for unit in "tgmk":
            if self.bytes % _MEMORY[unit] == 0:
                return f"{self.bytes // _MEMORY[unit]}{unit}"
        return f"{self.bytes}b"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The time that `text` names, as one or more numbers with d, h, m or s: `2h`, `1h30m`, `45s`.

        Raises:
            ValueError: `text` is no time, nothing, or more than a hundred years.
        """
        compact = re.sub(r"\s+", "", text.lower())
        parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", compact)
        seconds = round(sum(float(number) * _DURATION[unit] for number, unit in parts))
        if "".join(number + unit for number, unit in parts) != compact or not 0 < seconds <= MAX_SECONDS:
            raise ValueError(f"'{text}' is not a time; write numbers and units, as in 2h, 1h30m or 45s")
        return cls(seconds)

    def __str__(self) -> str:
        rest, text = self.seconds, ""
        for unit in "dhms":
            count, rest = divmod(rest, _DURATION[unit])
            text += f"{count}{unit}" if count else ""
        return text
